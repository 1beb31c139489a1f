"""The MediaX platform behind its gateway."""
