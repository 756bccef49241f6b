"""What the networks are: their layers, described without a framework.

darknet        YOLOv3 and YOLOv3-tiny described as data
darknet_cfg    Darknet's ``.cfg`` files, read into a `Network`
retinanet      RetinaNet on a ResNet-50 with a feature pyramid as data
yolov3_family  The networks of the YOLOv3 family, layer by layer
"""
