"""One stream of a run: its frames, its events, its account.

frozen          A camera whose picture stays exactly the same
manner          How a stream is treated
stream          What to do with one source, and how it is doing
stream_account  What a stream has come to over a whole run, however often it was changed
stream_events   What a stream tells of itself
stream_run      One stream of a run: its frames through filters
"""
