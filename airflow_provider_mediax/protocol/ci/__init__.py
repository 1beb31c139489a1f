"""Cloud Infinite's voice separation: its wire format and its jobs."""
