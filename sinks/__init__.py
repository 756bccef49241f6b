"""Outputs: annotated video, event logs and feeds, the user's callbacks."""
