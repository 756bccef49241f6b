"""A configured run as the HTTP server sees it, and the server with it.

readiness    What keeps a run from doing what it is for
run_changes  Changes of a run while it goes on, which outlive it
served_run   A run as the server sees it
site         The server of a run
"""
