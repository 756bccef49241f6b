"""What can be asked and done over HTTP, a module a subject.

session  Logging in and out
streams  The streams of the run
"""
