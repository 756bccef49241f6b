"""The whole: what puts pipeline, trackers and sinks together.

commands     The command line: one module a command
composition  From a configuration to a pipeline with its trackers and sinks
config       From YAML and options to a checked configuration
doctor       What this machine and a source can do, and what holds them back
imageai      ImageAI's classes on Sightline's pipeline: a script runs when its import line becomes
server       Ways into a pipeline that is running
terminal     What a person sees in the terminal: progress, live rates, the summary
"""
