"""The whole: what puts pipeline, trackers and sinks together."""
