"""One stream of a run: its frames, its events, its account."""
