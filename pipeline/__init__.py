"""Sightline's core: sources, detector, analytics, events and the loop that joins them."""
