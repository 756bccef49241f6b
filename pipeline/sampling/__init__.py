"""Which frames the detector looks at, and what is shown of tracks once it is known what came after.

camera_motion  How the camera itself moved: panned, zoomed, shaken
groups         Which frames of one stream the detector looks at, decided some frames at a time
latency        A sampler for cameras: it looks as often as the machine keeps up
looks          What was seen of each track at the last looks
motion_gate    No detection while nothing moves in front of a camera that stands still
predictive     Looking less often while a file's scene does what was expected of it
sampler        Which frames the detector looks at; on the others the tracker predicts
settling       Tracks with a second of hindsight
"""
