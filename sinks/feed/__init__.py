"""The event feed over ZeroMQ: its publisher, its reader, and what both agree on."""
