"""One operator per capability, on one base that owns, waits and collects."""
