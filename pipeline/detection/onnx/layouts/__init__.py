"""How families of networks write what they found: one module for each way, from raw outputs to boxes.

base       What all layouts share: boxes before suppression, cells of a grid, the choice of classes
darknet    Darknet's networks: maps with anchors, or boxes and confidences
distances  NanoDet: distances from a cell's point to the four sides, as distributions
finished   Boxes that are ready: suppression inside, or none needed
grid       YOLOX: offsets from cells
queries    Transformers: one box for each query, with scores or logits
rows       YOLOv5 to YOLOv12 and YOLO-NAS: a row or column for each box, in pixels
"""
