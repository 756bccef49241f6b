"""Media time: when each picture is, whatever its timestamps and its arrival say.

arrival_clock  Media time of a live stream
file_timeline  Media time of a file's pictures or sound
last_picture   For how long the last picture of a file is on screen
live_time      When the pictures of a live stream are handed out, and at what media time
pacing         Pictures that come in bursts, handed out at the pace of their own timestamps
played         What a network video has shown already
stamp_path     Which of some consecutive timestamps are right
timeline       Media time from a stream's timestamps, whatever state those are in
"""
