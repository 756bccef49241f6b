"""Live pictures in a browser: newest first, encoded once for all who look, nothing at all when nobody does.

hub        The output that knows each stream's newest frame and state
encoder    Pictures as JPEG, each once per stream and size
messages   What goes over the wire, both ways
websocket  One connection a browser, for all its tiles
"""
