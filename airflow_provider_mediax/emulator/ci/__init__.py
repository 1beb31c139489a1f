"""Cloud Infinite: voice separation."""
