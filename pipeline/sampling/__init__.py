"""Which frames the detector looks at, and tracks on those that it did not look at.

groups         Which frames of one stream the detector looks at, decided some frames at a time
interpolation  Tracks on the frames that nobody looked at
latency        A sampler for cameras: it looks as often as the machine keeps up
motion_gate    No detection while nothing moves in front of a camera that stands still
predictive     Looking less often while a file's scene does what was expected of it
sampler        Which frames the detector looks at; on the others the tracker predicts
"""
