"""What can be asked and done over HTTP, a module a subject.

asked     What a query names: parameters, types of events, streams, zones, lines and classes that there are
counts    What was counted: in this run so far, and over time
dry_run   What zones and lines would have counted
evidence  Pictures and clips of events
events    Events: those that the store keeps, and those that happen now
pictures  Single pictures
problems  What is answered where something can't be done
run       The run as a whole
session   Logging in and out
stored    The store of a run's events, as the API asks it
streams   The streams of the run, and what is counted in them
"""
