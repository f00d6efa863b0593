"""Weight files and what they were trained on."""
