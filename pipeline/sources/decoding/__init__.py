"""From a container's packets to frames with media times.

container     What all sources that PyAV reads have in common
conversion    From a decoder's frame to the picture a viewer sees
crop          The part of the picture that a container says is to be shown
decoder       Packets in, frames out in display order
display       How a stored picture is to be displayed
matroska      What Matroska and WebM say of their own length, where FFmpeg does not pass it on
packets       Accounts of packets
tap           A tap on the packets of a source
tone          From pictures of a wide range and gamut (HDR, BT.2020) to BT.709
transport     MPEG transport streams whose pictures change codec or PID midway
video_stream  Which of a container's streams is shown, and what the container says of it
"""
