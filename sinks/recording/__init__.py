"""The camera's own packets, recorded as they came: all of them, around events, or as clips.

clip_sink         The sink that makes clips of a stream's events
clips             A few seconds of a stream as a file of their own
clusters          The clusters of a Matroska file that grows
muxer             Packets into a file that can be played however it ends
packet_clock      When packets come
packet_groups     Groups of pictures that wait
packet_queue      The packets that wait to be recorded
parameter_sets    What a keyframe says of the pictures that follow
recorder          A thread that makes segments of the packets of one stream
ring              The camera's packets of the last seconds
segment_file      One segment in the making
shelves           Where segments lie
sink              The camera's own packets as a row of files
situations        Which events a recording is kept around, and for how long
"""
