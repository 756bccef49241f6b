"""What a program calls: a loop over results, one call each to detect, track and draw, and conversions.

analysis     A loop over what is found, frame by frame
handover     Results on their way from the pipeline to the loop
options      Keyword arguments, named as in the configuration
inputs       What may be given as a source
frames       Frames from memory as a source
result       What the loop gives
pictures     Detecting and drawing, one call each
tracking     Tracking, one call
conversions  To and from supervision, pandas, Polars, COCO and MOT
"""
