"""ImageAI's classes on Sightline's pipeline: a script runs when its import line becomes

    from sightline.imageai import ImageClassification, ObjectDetection, VideoObjectDetection

They configure the one pipeline there is; nothing here decodes, detects, tracks or encodes. Like ``composition`` this
package knows sinks and trackers, and nothing imports it. docs/from-imageai.md tells what is the same and what is not.
"""

from __future__ import annotations

from sightline.imageai.classification import ImageClassification, ImagePrediction
from sightline.imageai.custom import CustomObjectDetection, CustomVideoObjectDetection
from sightline.imageai.object_detection import ObjectDetection
from sightline.imageai.video_detection import VideoObjectDetection

__all__ = [
    "CustomObjectDetection",
    "CustomVideoObjectDetection",
    "ImageClassification",
    "ImagePrediction",
    "ObjectDetection",
    "VideoObjectDetection",
]
