"""Results in files of whole records: events, tracks, objects of images.

coco_results   Objects of images as COCO writes them
image_copies   Annotated copies of pictures, and the objects cut out of them
image_results  What was found in many pictures, as one file: JSON, CSV or COCO's JSON
jsonl          Events as JSON Lines: one event a line, UTF-8, in the order they happened
mot            Tracks as MOT Challenge text, as TrackEval and most tracking tools read it
"""
