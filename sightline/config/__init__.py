"""From YAML and options to a checked configuration."""
