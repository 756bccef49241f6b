"""Single images: read within limits, turned upright, letterboxed, gathered in batches.

batches      Many picture files through a detector or a classifier, in batches that fill well
cut_jpeg     JPEG files that end before they should
header       The size and the orientation of a picture from the first bytes of its file
heif         HEIC and AVIF pictures
letterbox    An image scaled into a network's input with its shape kept
limits       How large an image may be
orientation  What holds for every picture, from a camera or a file
reading      Pictures of any kind that a program may hold
sequences    Whether a picture's file holds further pictures
"""
