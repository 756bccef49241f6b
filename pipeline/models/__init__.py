"""Networks, their weights, and what runs them.

cache        Small files of the cache folder: read within limits, and never seen half-written
class_names  Class names as users write them, turned into the model's class ids
costs        What models were measured to cost on this machine
custom       People's own detectors: a description, weights and class names from files
downloader   Downloads a file whose size and SHA-256 are known
engines      What runs a network: TensorFlow or OpenVINO
network_output  What the numbers that networks compute have in common
onnx         ONNX files that are not trusted: what they say of themselves
networks     What the networks are: their layers, described without a framework
published    Files that somebody published: where they are, and whether they are genuine
registry     The models Sightline knows, and where their weights come from
weights      Files of weights, read into arrays
"""
