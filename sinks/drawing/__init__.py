"""What is drawn on a frame: boxes, labels, trails, zones, counts.

annotator      Drawing: boxes, names, scores, ids and trails on a copy of the picture
colors         Colours of tracks, and of text that stands on them
count_overlay  Drawing of zones and lines with their live counts, for the annotated picture
lettering      Colours and text for drawing
shapes         Boxes, dashed boxes and labels, drawn into an image
trails         Trails: where tracks have come from
"""
