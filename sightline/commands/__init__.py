"""The command line: one module a command.

calibrate  The command that concerns the engines: calibrate
classify   The command that names what pictures show: classify
control    ``control``: a command for a run that is under way
detect     The command that looks at pictures: detect
doctor     ``doctor``: examine this machine and a source
feed       The commands that concern the event feed: listen, schema and keys
images     What the commands on images have in common
main       The command line as a whole
models     The commands that concern models: list, fetch and convert
options    Options that several commands have, told once
plain_log  Log records and tracebacks without passwords
run        ``run``: the pipeline on videos and cameras
signals    Stopping a run from outside the process, and having it read its configuration again
store      The commands that read a store of events: query, export and report-html
"""
