"""From a configuration to a pipeline with its trackers and sinks."""
