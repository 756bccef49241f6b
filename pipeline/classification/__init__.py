"""From images to names, and names for tracks."""
