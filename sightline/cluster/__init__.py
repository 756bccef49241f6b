"""Streams on several machines: each runs ordinary pipelines near its cameras, and Ray carries word between them.

board           What the driver knows of a cluster
continuity      What a stream's events tell of it, so that it can go on elsewhere
driver          A configuration on a cluster, from beginning to end
losses          Lost shards, and which stream is to blame
memory          What a driver remembers beyond its own end
merger          One feed of all shards' feeds
metrics         Metrics of a cluster for Prometheus
messages        What the driver and its shards tell each other
pictures        Pictures of a shard's streams for who looks at the page
placing         Placing streams on shards, and starting these
placement       On which machine a stream is to run
ray_environment What Ray is to do seldom, or not at all
ray_fleet       The machines and processes as Ray has them
shard           One process with an ordinary pipeline
shard_config    The part of a configuration that one process runs
shard_feed      The feed of a shard
shard_link      The driver's end of a shard
status          How a cluster is doing, in words
stream_record   What the driver knows of one stream
supervisor      Which stream runs where
watching        What shards tell, and what follows from it
web             The page of a cluster, its health and its metrics
"""
