"""The detector for the YOLOv3 family.

anchor_masks  Which anchors the numbers of each head are about
calibration   Calibrates a network for int8 with the user's own frames
decoder       From the outputs of a YOLOv3 network to boxes
detector      YoloDetector: images in, boxes in the images' own pixels out
"""
