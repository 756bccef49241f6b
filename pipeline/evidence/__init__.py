"""Evidence: which events are to be shown by pictures, and which picture of an object is its best.

best     The best picture of each live object, and the frames that were looked at lately
desk     What passes between the loop of a stream and what makes its evidence
quality  How good a picture of an object is
wanted   Which events are to have evidence
"""
