"""Recorded video: one MP4, or one after the other, with the source's sound.

fragments         The fragments of an MP4 that grows
mp4               The annotated video as an H.264 MP4 that plays in a browser
mp4_writer        One MP4 file in the making: H.264 that survives a crash, and a plain MP4 at the end
output_clock      Which input frame is on screen at which ticks of the output
remux             The final MP4
retention         How long the segments of a recording are kept
segment_finisher  The thread that makes final files of recorded segments and then deletes the oldest
segments          A recording that need not end, as one MP4 after the other
sound_clock       One clock for pictures and sound
sound_encoder     Decoded sound, pieces at any times, as an even row of samples for an encoder
source_audio      A source file's sound, cut and shifted to go with a new picture track
video_track       The picture track of a video in the making
"""
