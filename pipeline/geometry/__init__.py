"""Points, polygons, boxes, regions and the ground: arithmetic without pictures.

anchors     The point of a box that stands for its object
boxes       Geometry of boxes, as pure functions over arrays
ground      From pixels to metres on the ground, and from there to speeds
points      Points, polygons and segments, over arrays
region      The part of the picture that matters: the rest of it is not shown to the detector
shapes      Many polygons or segments at once, as arrays
similarity  What a camera's own motion does to places and boxes
"""
