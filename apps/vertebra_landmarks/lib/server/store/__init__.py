"""The studies folder as a datastore: plain files, with versions, metadata and scores in a database."""
