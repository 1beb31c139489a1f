"""The services' wire formats. Pure: no I/O, no clock, no randomness."""
