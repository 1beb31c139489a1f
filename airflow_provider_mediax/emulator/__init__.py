"""Both services and COS on one loopback port, for tests and for a first run without an account."""
