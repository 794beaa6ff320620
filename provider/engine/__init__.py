"""Plan to rows: scans are fetched and staged, and DuckDB runs the statement. The only place that touches DuckDB."""
