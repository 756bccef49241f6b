"""Recorded video: one MP4, or one after the other, with the source's sound."""
