"""What a run has found: records, Parquet parts, CSV tables, summary."""
