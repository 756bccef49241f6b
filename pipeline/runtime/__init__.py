"""The loop that joins the parts: threads, queues, streams, and the report of a run.

channel        The bounded queue between two threads
decode_thread  The decode thread: it reads a source ahead of the detector
detect_stage   Frames on their way through the detector
frame_ledger   Where each frame of a stream went
intake         Where the frames of all streams come together for the one detector
loop           The loop: frames of all streams through the one detector, then each into its own stream
pipeline       A run: what a user gives it, asks of it, and gets
recent_rate    How often something happened lately
report         What a run reports at its end
run_files      What all streams of a run read and write, so that none destroys what another needs
sink_group     Several sinks as one
sink_thread    The sink thread: it keeps a sink that stalls from holding up the pipeline
streams        One stream of a run: its frames, its events, its account
timing         How long each stage takes, in memory that does not grow
"""
