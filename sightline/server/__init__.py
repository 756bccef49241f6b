"""Ways into a pipeline that is running.

control_socket  Telling a running Sightline what to do
live            Live pictures in a browser
"""
