"""Results in files of whole records: events, tracks, objects of images."""
