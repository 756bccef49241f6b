"""From images to names, and names for tracks.

classifier     Classifier: pictures in, the names of what they show out
image_files    Names for many image files, a batch at a time
keras_weights  Weights of Keras classifiers, read from HDF5 into arrays
registry       The classifiers Sightline knows
tracks         The second look at tracked objects
"""
