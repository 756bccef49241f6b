"""From YAML and options to a checked configuration.

files        The files that a configuration makes a run read: what no output may be
given        What a program or the command line gives as settings, turned into what YAML would have said
idle         Settings that change nothing, since what they belong to is off
loading      A configuration from a file, settings and options, in that order
problems     Says in plain words what is wrong with a value, and what would be right
schema       The configuration
sections     The sections of the configuration, and what each of their keys may be
shapes       The sections for what lies in the picture: zones, lines, and the map to the ground
yaml_reader  Reads YAML nobody vouches for into plain data
"""
