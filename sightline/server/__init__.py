"""Ways into a pipeline that is running.

access          Who may do what over HTTP: tokens, sessions, and what browsers are kept from
api             What can be asked and done over HTTP, a module a subject
app             The application that answers HTTP requests, of its parts
control_socket  Telling a running Sightline what to do
evidence        The evidence of a run, as the server finds it
feed            The event feed for browsers
guard           What stands before every HTTP request and WebSocket
health          Whether the process lives, whether the run does what it is for, and its metrics
http_server     The HTTP server, in a thread of the run
live            Live pictures in a browser
metrics         Metrics for Prometheus
replay          What zones and lines would have counted
run_access      What the server sees of a run
still           One picture of a stream as JPEG

Importing FastAPI takes half a second, so all but ``control_socket`` is imported only where a run is to be served.
"""
