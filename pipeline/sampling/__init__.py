"""Which frames the detector looks at, and tracks on those that it did not look at."""
