"""The event feed over ZeroMQ: its publisher, its reader, and what both agree on.

client            Reads an event feed: ``for event in subscribe("tcp://127.0.0.1:5556"): ...``
connection        The sockets of the reading side
connection_guard  Limits on what connections may send to the event feed
endpoint          Addresses of the event feed: parsing, the loopback rule, and whether a port is free
keys              Keys of the event feed
memory            The publisher's memory of its feed
protocol          What a feed and its readers say to each other besides events
publisher         The thread that publishes events, sends heartbeats and answers readers
reader            Puts a feed together again: order, duplicates, gaps, restarts
replay_ring       The newest events of a feed, kept as they were sent, for readers that missed some
sequence          Puts numbered events back in order
sockets           The sockets of an event feed, and what protects them
state             What holds now according to a feed
topics            Which events a reader wants
zeromq_sink       The event feed
"""
