"""Who looks like whom: links between tracks that a tracker told apart.

embedder  Embedder: pictures of objects in, unit vectors out, by a re-identification network
gallery   The pictures that are kept of each track, within bounds
links     TrackLinks: asks the network where a new track may go on with a lost one
"""
