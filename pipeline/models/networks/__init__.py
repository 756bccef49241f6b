"""What the networks are: their layers, described without a framework."""
