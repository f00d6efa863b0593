"""The studies folder as a datastore: plain files, and a database that knows their versions, facts and scores."""
