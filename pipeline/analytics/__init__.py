"""From tracks to events and counts.

confirmation      On which side of a line, or of a zone's edge, tracks are
counters          Everything that is counted of a stream
event_stamper     The fields that all events share: number, run and wall-clock time
frame_interval    How far apart a camera's frames are, whatever it says of itself
lines             Lines and who crosses them
named_shapes      What zones and lines have in common: names, and classes that count
options           What is to be counted of a stream
places            What the tracks of a stream do in its zones and at its lines, as events
speed             Speeds of tracks on the ground
stream_analytics  What a stream's tracks amount to
totals            Running totals of a stream, and the live counts that are drawn on its pictures
track_table       Arrays with one row per live track
windows           Counts over windows of media time, in bounded memory however long the run
zones             Named zones and lines in the picture
"""
