"""Decoding, beat tracking, separation, and files that are what their names say."""
