"""From images to boxes, and which of the boxes count.

adapted      Any object that finds things in images as a ``Detector``
base         What detectors of every kind of network share
calibration  What calibrations for int8 share: which frames of a video they take, what they measure, and NNCF
factory      The detector for a model, whatever kind of network it is
filters      Detection filters: which detections go on to the tracker
frames       What the detector is shown of a frame
image_files  Objects of many image files, a batch at a time
letterboxed  What detectors share whose network sees a whole picture, letterboxed into its input
onnx         Detectors from ONNX files
retinanet    RetinaNet with a ResNet-50 and a feature pyramid
yolov3       The detector for the YOLOv3 family
"""
