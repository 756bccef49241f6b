"""RetinaNet with a ResNet-50 and a feature pyramid: ImageAI's third detector, on torchvision's weights.

`architecture` describes it, `weights` reads its files, `engine` runs it in TensorFlow, `anchors` and `decoder` turn
what comes out into boxes, and `detector` joins them.
"""
