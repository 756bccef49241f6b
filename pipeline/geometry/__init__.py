"""Points, polygons, boxes, regions and the ground: arithmetic without pictures."""
