"""Pictures that show what events tell of.

folder    The folder that evidence is written to, and how long it is kept there
pictures  Frames that may become evidence, and the pictures that are made of them
sink      Makes the pictures of a stream's events
"""
