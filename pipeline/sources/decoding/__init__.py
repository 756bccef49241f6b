"""From a container's packets to frames with media times."""
