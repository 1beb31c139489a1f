"""Operators that carry what jobs have found to other places."""
