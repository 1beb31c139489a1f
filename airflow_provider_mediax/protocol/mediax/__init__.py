"""MediaX, the music platform: its wire format and its jobs."""
