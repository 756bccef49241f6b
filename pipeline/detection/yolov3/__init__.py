"""The detector for the YOLOv3 family."""
