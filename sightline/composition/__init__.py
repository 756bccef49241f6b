"""From a configuration to a pipeline with its trackers and sinks.

annotators  What draws on a stream's pictures, for all its outputs
appearance  What links a stream's tracks that look alike
control     The socket that takes commands while a pipeline runs
outputs     The outputs that a configuration asks for
pipeline    The composition root: builds the parts that a configuration asks for
reload      Taking over a changed configuration while the run goes on
reloader    What takes over a changed configuration while the pipeline runs
running     A configured run with its control socket and its report
serving     A configured run as the HTTP server sees it, and the server with it
streams     A stream with its source, tracker, filters and outputs
written     What a run leaves behind
"""
