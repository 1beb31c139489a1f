"""What a DAG file is typed as; mypy reads it, nothing runs it."""
