"""One user action per file: load, infer, submit, train, search, state the side."""
