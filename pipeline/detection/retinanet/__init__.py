"""RetinaNet with a ResNet-50 and a feature pyramid: ImageAI's third detector, on torchvision's weights.

anchors    Prior boxes, and how predictions move them
decoder    From the network's raw outputs to detections
detector   RetinaNetDetector: images in, boxes in the images' own pixels out
placement  Where a picture lies in the network's input, as torchvision places it
"""
