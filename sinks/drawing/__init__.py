"""What is drawn on a frame: boxes, labels, trails, zones, counts."""
