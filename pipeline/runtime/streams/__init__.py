"""One stream of a run: its frames, its events, its account.

first_error     The first error of several steps that must all be taken
frozen          A camera whose picture stays exactly the same
manner          How a stream is treated
reading         The reading side of a stream
stream          What to do with one source, and how it is doing
stream_account  What a stream has come to over a whole run, however often it was changed
stream_events   What a stream tells of itself
stream_run      A stream while it runs: how it begins, goes on and ends
tracking        From detections to tracks and their names
"""
