"""Where frames come from: files, folders, cameras, network streams, pipes.

backoff        How long to wait between attempts to reach something that is away
being_written  Whether somebody is still writing a file
decoding       From a container's packets to frames with media times
fetch          A whole file from a web server
image_folder   Folders and patterns of images as a stream
local_files    The files behind the addresses of sources: what no output may be
mjpeg          Motion JPEG over HTTP, however a camera writes it
network        Cameras and streams on the network, through FFmpeg
opening        Where frames come from
pipe           Video that another program writes into a pipe
reconnect      A live source that outlives its connections
timing         Media time: when each picture is, whatever its timestamps and its arrival say
uri            The stream names that are made from addresses and paths
video_file     Video files
webcam         Cameras attached to this machine, through OpenCV
"""
