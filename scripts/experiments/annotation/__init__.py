"""A person's work replayed: clicks, rounds of active learning, and both on a server."""
