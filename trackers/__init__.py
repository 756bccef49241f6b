"""Trackers and the filters that choose what is tracked."""
