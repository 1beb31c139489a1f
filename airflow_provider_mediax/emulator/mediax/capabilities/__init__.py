"""One answer for each capability."""
