"""The networks of the YOLOv3 family, layer by layer."""

from __future__ import annotations

from dataclasses import replace

from pipeline.models.networks.darknet import (
    Convolution,
    DarknetNetwork,
    Layer,
    MaxPool,
    Route,
    Shortcut,
    Upsample,
    Yolo,
)


def _predictor(anchors: int, class_count: int) -> Convolution:
    return Convolution(anchors * (5 + class_count), 1, batch_normalize=False, leaky=False)


def yolov3_tiny(
    class_count: int = 80, *, masks: tuple[tuple[int, ...], tuple[int, ...]] = ((3, 4, 5), (1, 2, 3))
) -> DarknetNetwork:
    """YOLOv3-tiny: 24 layers, heads at 1/32 and 1/16.

    Args:
        class_count: classes each box is scored for.
        masks: anchors of the two heads. The official weights were trained with 1,2,3 on the finer one, although the
            configuration file in circulation says 0,1,2; decoding with the latter makes every small box half as large
            as it should be and costs 40% of the AP50.
    """
    coarse, fine = masks
    backbone: list[Layer] = []
    for filters in (16, 32, 64, 128, 256):
        backbone += [Convolution(filters, 3), MaxPool()]
    return DarknetNetwork(
        name="yolov3-tiny",
        layers=(
            *backbone,
            Convolution(512, 3),
            MaxPool(stride=1),
            Convolution(1024, 3),
            Convolution(256, 1),
            Convolution(512, 3),
            _predictor(len(coarse), class_count),
            Yolo(coarse),
            Route((-4,)),
            Convolution(128, 1),
            Upsample(),
            Route((-1, 8)),
            Convolution(256, 3),
            _predictor(len(fine), class_count),
            Yolo(fine),
        ),
        anchors=((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319)),
        class_count=class_count,
    )


def imageai_3_tiny_yolov3(class_count: int = 80) -> DarknetNetwork:
    """YOLOv3-tiny as ImageAI 3 computes and trains it: with anchors 0,1,2 on the finer head, and zeros around the pool
    of stride 1."""
    network = yolov3_tiny(class_count, masks=((3, 4, 5), (0, 1, 2)))
    layers = [MaxPool(stride=1, zeros=True) if layer == MaxPool(stride=1) else layer for layer in network.layers]
    return replace(network, name="imageai-3-tiny-yolov3", layers=tuple(layers))


def imageai_3_yolov3(class_count: int = 80) -> DarknetNetwork:
    """YOLOv3 as ImageAI 3 computes and trains it: the third block behind the third halving reads the sum of the second
    block's output and that of its last convolution, where Darknet's reads the output alone."""
    network = yolov3(class_count)
    second = 18  # the sum that ends the second block

    def moved(layer: Layer) -> Layer:
        if isinstance(layer, Route):  # layers counted from the beginning have moved
            return Route(tuple(index + 1 if index > second else index for index in layer.layers))
        return layer

    third = (Shortcut(-2), *network.layers[second + 1 : second + 3], Shortcut(-4))
    layers = (*network.layers[: second + 1], *third, *map(moved, network.layers[second + 4 :]))
    return replace(network, name="imageai-3-yolov3", layers=layers)


def yolov3_spp(class_count: int = 80) -> DarknetNetwork:
    """YOLOv3-SPP: YOLOv3 with pools of 5, 9 and 13 cells beside each other in front of the first head; 114 layers.

    The pools as in K. He et al., "Spatial Pyramid Pooling in Deep Convolutional Networks for Visual Recognition",
    arXiv:1406.4729 (2014).
    """
    network = yolov3(class_count)
    first = 78  # what the layers up to the third convolution of the first head are before
    pools: list[Layer] = []
    for number, size in enumerate((5, 9, 13)):
        pools += [*((Route((-2 * number,)),) if number else ()), MaxPool(size, stride=1)]
    pools += [Route((-1, -3, -5, -6)), Convolution(512, 1)]
    return replace(network, name="yolov3-spp", layers=(*network.layers[:first], *pools, *network.layers[first:]))


def yolov3(class_count: int = 80) -> DarknetNetwork:
    """YOLOv3: Darknet-53 and three heads, at 1/32, 1/16 and 1/8; 107 layers."""
    masks = ((6, 7, 8), (3, 4, 5), (0, 1, 2))
    layers: list[Layer] = [Convolution(32, 3)]
    for filters, blocks in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        layers.append(Convolution(filters, 3, stride=2))
        for _ in range(blocks):
            layers += [Convolution(filters // 2, 1), Convolution(filters, 3), Shortcut(-3)]
    for mask, filters, backbone in zip(masks, (512, 256, 128), (None, 61, 36), strict=True):
        if backbone is not None:
            layers += [Route((-4,)), Convolution(filters, 1), Upsample(), Route((-1, backbone))]
        for _ in range(3):
            layers += [Convolution(filters, 1), Convolution(filters * 2, 3)]
        layers += [_predictor(len(mask), class_count), Yolo(mask)]
    return DarknetNetwork(
        name="yolov3",
        layers=tuple(layers),
        anchors=(
            *((10, 13), (16, 30), (33, 23)),
            *((30, 61), (62, 45), (59, 119)),
            *((116, 90), (156, 198), (373, 326)),
        ),
        class_count=class_count,
    )
