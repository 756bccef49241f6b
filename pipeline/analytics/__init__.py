"""From tracks to events and counts."""
