"""Connection in, client out."""
