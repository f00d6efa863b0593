"""Labels as structured reports in the PACS: sent from an outbox in the database, and read back."""
