"""From images to boxes, and which of the boxes count."""
