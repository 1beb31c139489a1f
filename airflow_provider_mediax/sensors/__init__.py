"""Sensors: they wait for what exists, and never submit or cancel anything."""
