"""Expected errors, and how errors go together."""
