"""Scripts as people write them for ImageAI, after those of its documentation, in words of our own.

Each is complete and imports ``imageai``; the tests change that line alone, by ``PORTED``.
"""

from __future__ import annotations

PORTED = {
    "from imageai.Detection import VideoObjectDetection": "from sightline.imageai import VideoObjectDetection",
    "from imageai.Detection import ObjectDetection": "from sightline.imageai import ObjectDetection",
    "from imageai.Detection.Custom import CustomObjectDetection": "from sightline.imageai import CustomObjectDetection",
    "from imageai.Detection.Custom import CustomVideoObjectDetection": (
        "from sightline.imageai import CustomVideoObjectDetection"
    ),
    "from imageai.Classification import ImageClassification": "from sightline.imageai import ImageClassification",
    "from imageai.Prediction import ImagePrediction": "from sightline.imageai import ImagePrediction",
}

FIRST_VIDEO = """
from imageai.Detection import VideoObjectDetection
import os

folder = os.getcwd()

finder = VideoObjectDetection()
finder.setModelTypeAsTinyYOLOv3()
finder.setModelPath(os.path.join(folder, "yolo-tiny.h5"))
finder.loadModel()

written = finder.detectObjectsFromVideo(
    input_file_path=os.path.join(folder, "street.mp4"),
    output_file_path=os.path.join(folder, "street_found"),
    frames_per_second=20, log_progress=True)
print(written)
"""

CUSTOM_VIDEO_2 = """
from imageai.Detection import VideoObjectDetection
import os

folder = os.getcwd()

finder = VideoObjectDetection()
finder.setModelTypeAsTinyYOLOv3()
finder.setModelPath(os.path.join(folder, "yolo-tiny.h5"))
finder.loadModel(detection_speed="fast")

only = finder.CustomObjects(person=True, motorcycle=True)

seen = []

def every_frame(frame_number, output_array, output_count):
    seen.extend(item["name"] for item in output_array)

written = finder.detectCustomObjectsFromVideo(
    custom_objects=only,
    input_file_path=os.path.join(folder, "street.mp4"),
    output_file_path=os.path.join(folder, "people_found"),
    per_frame_function=every_frame,
    minimum_percentage_probability=30,
    frames_per_second=20, log_progress=False)
"""

CUSTOM_VIDEO_3 = """
from imageai.Detection import VideoObjectDetection
import os

folder = os.getcwd()

finder = VideoObjectDetection()
finder.setModelTypeAsTinyYOLOv3()
finder.setModelPath(os.path.join(folder, "tiny-yolov3.pt"))
finder.useCPU()
finder.loadModel()

only = finder.CustomObjects(bicycle=True, motorbike=True)

everything = []

def whole_video(output_arrays, count_arrays, average_output_count):
    everything.append((output_arrays, count_arrays, average_output_count))

written = finder.detectObjectsFromVideo(
    input_file_path=os.path.join(folder, "street.mp4"),
    custom_objects=only,
    save_detected_video=False,
    video_complete_function=whole_video,
    minimum_percentage_probability=30)
"""

ANALYSIS = """
from imageai.Detection import VideoObjectDetection
import os

folder = os.getcwd()
frames, seconds, minutes, complete = [], [], [], []

def for_frame(frame_number, output_array, output_count):
    print("FRAME", frame_number, output_array, output_count)
    frames.append((frame_number, output_array, output_count))

def for_second(second_number, output_arrays, count_arrays, average_output_count):
    print("SECOND", second_number, average_output_count)
    seconds.append((second_number, output_arrays, count_arrays, average_output_count))

def for_minute(minute_number, output_arrays, count_arrays, average_output_count):
    print("MINUTE", minute_number, average_output_count)
    minutes.append((minute_number, output_arrays, count_arrays, average_output_count))

def for_all(output_arrays, count_arrays, average_output_count):
    complete.append((output_arrays, count_arrays, average_output_count))

watcher = VideoObjectDetection()
watcher.setModelTypeAsTinyYOLOv3()
watcher.setModelPath(os.path.join(folder, "yolo-tiny.h5"))
watcher.loadModel()

watcher.detectObjectsFromVideo(
    input_file_path=os.path.join(folder, "street.mp4"),
    output_file_path=os.path.join(folder, "street_analysed"),
    frames_per_second=10,
    per_second_function=for_second,
    per_frame_function=for_frame,
    per_minute_function=for_minute,
    video_complete_function=for_all,
    minimum_percentage_probability=30
)
"""

RETURNED_FRAME = """
from imageai.Detection import VideoObjectDetection
import os

folder = os.getcwd()
shown = []

def for_frame(frame_number, output_array, output_count, returned_frame):
    shown.append(("frame", frame_number, type(returned_frame), returned_frame.shape, output_array))

def for_second(second_number, output_arrays, count_arrays, average_count, returned_frame):
    labels = [each + " = " + str(average_count[each]) for each in average_count]
    shown.append(("second", second_number, type(returned_frame), returned_frame.shape, labels))

def for_minute(minute_number, output_arrays, count_arrays, average_count, returned_frame):
    shown.append(("minute", minute_number, type(returned_frame), returned_frame.shape, average_count))

watcher = VideoObjectDetection()
watcher.setModelTypeAsTinyYOLOv3()
watcher.setModelPath(os.path.join(folder, "yolo-tiny.h5"))
watcher.loadModel()

watcher.detectObjectsFromVideo(input_file_path=os.path.join(folder, "street.mp4"), save_detected_video=False,
    per_frame_function=for_frame, per_second_function=for_second, per_minute_function=for_minute,
    minimum_percentage_probability=30, return_detected_frame=True, frame_detection_interval=5)
"""

CAMERA = """
from imageai.Detection import VideoObjectDetection
import os
import cv2

folder = os.getcwd()
camera = cv2.VideoCapture(os.environ["CAMERA"])

finder = VideoObjectDetection()
finder.setModelTypeAsTinyYOLOv3()
finder.setModelPath(os.path.join(folder, "yolo-tiny.h5"))
finder.loadModel()

numbers = []

def for_frame(frame_number, output_array, output_count):
    numbers.append(frame_number)

written = finder.detectObjectsFromVideo(
    camera_input=camera,
    output_file_path=os.path.join(folder, "camera_found"),
    frames_per_second=20, log_progress=True, minimum_percentage_probability=40,
    per_frame_function=for_frame,
    detection_timeout=1)
"""

PICTURE = """
from imageai.Detection import ObjectDetection
import os

folder = os.getcwd()

finder = ObjectDetection()
finder.setModelTypeAsTinyYOLOv3()
finder.setModelPath(os.path.join(folder, "yolo-tiny.h5"))
finder.loadModel()
found = finder.detectObjectsFromImage(input_image=os.path.join(folder, "ride.jpg"),
    output_image_path=os.path.join(folder, "ride_found.jpg"), minimum_percentage_probability=30)

for each in found:
    print(each["name"], " : ", each["percentage_probability"], " : ", each["box_points"])
    print("-" * 32)
"""

EXTRACTION = """
from imageai.Detection import ObjectDetection
import os

folder = os.getcwd()

finder = ObjectDetection()
finder.setModelTypeAsTinyYOLOv3()
finder.setModelPath(os.path.join(folder, MODEL))
finder.loadModel()

found, paths = finder.detectObjectsFromImage(input_image=os.path.join(folder, "ride.jpg"),
    output_image_path=os.path.join(folder, "ride_found.jpg"), minimum_percentage_probability=30,
    extract_detected_objects=True)

for each, path in zip(found, paths):
    print(each["name"], " : ", each["percentage_probability"], " : ", each["box_points"])
    print("saved in " + path)
"""

ARRAYS = """
from imageai.Detection import ObjectDetection
import cv2
import os

folder = os.getcwd()

finder = ObjectDetection()
finder.setModelTypeAsTinyYOLOv3()
finder.setModelPath(os.path.join(folder, "yolo-tiny.h5"))
finder.loadModel()

array = cv2.imread(os.path.join(folder, "ride.jpg"))
from_array = finder.detectObjectsFromImage(input_image=array, input_type="array", output_type="array",
    minimum_percentage_probability=30)
with open(os.path.join(folder, "ride.jpg"), "rb") as stream:
    from_stream = finder.detectObjectsFromImage(input_image=stream, input_type="stream", output_type="array",
        minimum_percentage_probability=30, extract_detected_objects=True)
to_file = finder.detectObjectsFromImage(input_image=array, input_type="array",
    output_image_path=os.path.join(folder, "ride_found.png"), minimum_percentage_probability=30)
"""

CUSTOM_PICTURE = """
from imageai.Detection import ObjectDetection
import os

folder = os.getcwd()

finder = ObjectDetection()
finder.setModelTypeAsTinyYOLOv3()
finder.setModelPath(os.path.join(folder, "yolo-tiny.h5"))
finder.loadModel()

only = finder.CustomObjects(bicycle=True, motorcycle=True)
found = finder.detectCustomObjectsFromImage(custom_objects=only, input_image=os.path.join(folder, "ride.jpg"),
    output_image_path=os.path.join(folder, "bikes_found.jpg"), minimum_percentage_probability=30)
"""

HIDDEN = """
from imageai.Detection import ObjectDetection
import os

folder = os.getcwd()

finder = ObjectDetection()
finder.setModelTypeAsTinyYOLOv3()
finder.setModelPath(os.path.join(folder, "tiny-yolov3.pt"))
finder.loadModel()

plain, none = finder.detectObjectsFromImage(input_image=os.path.join(folder, "ride.jpg"), output_type="array",
    minimum_percentage_probability=99)
full, found = finder.detectObjectsFromImage(input_image=os.path.join(folder, "ride.jpg"), output_type="array",
    minimum_percentage_probability=30)
boxes, _ = finder.detectObjectsFromImage(input_image=os.path.join(folder, "ride.jpg"), output_type="array",
    minimum_percentage_probability=30, display_percentage_probability=False, display_object_name=False)
bare, _ = finder.detectObjectsFromImage(input_image=os.path.join(folder, "ride.jpg"), output_type="array",
    minimum_percentage_probability=30, display_percentage_probability=False, display_object_name=False,
    display_box=False)
"""

OWN_PICTURE = """
from imageai.Detection.Custom import CustomObjectDetection

finder = CustomObjectDetection()
finder.setModelTypeAsTinyYOLOv3()
finder.setModelPath("tiny-yolov3.pt")
finder.setJsonPath("riders_tiny-yolov3_detection_config.json")
finder.loadModel()
found = finder.detectObjectsFromImage(input_image="ride.jpg", output_image_path="ride_found.jpg")
for each in found:
    print(each["name"], " : ", each["percentage_probability"], " : ", each["box_points"])
weaker = finder.detectObjectsFromImage(input_image="ride.jpg", output_image_path="ride_found.jpg",
    minimum_percentage_probability=5, nms_treshold=0.3)
"""

OWN_VIDEO = """
from imageai.Detection.Custom import CustomVideoObjectDetection
import os

folder = os.getcwd()
counts = []

def for_frame(frame_number, output_array, output_count):
    counts.append(output_count)

finder = CustomVideoObjectDetection()
finder.setModelTypeAsTinyYOLOv3()
finder.setModelPath("yolo-tiny.h5")
finder.setJsonPath("riders_tiny-yolov3_detection_config.json")
finder.loadModel()
written = finder.detectObjectsFromVideo(input_file_path="street.mp4",
    output_file_path=os.path.join(folder, "street_found"), frames_per_second=20, per_frame_function=for_frame,
    minimum_percentage_probability=30, log_progress=True)
"""

CLASSIFICATION = """
from imageai.Classification import ImageClassification
import os

folder = os.getcwd()

judge = ImageClassification()
judge.setModelTypeAsMobileNetV2()
judge.setModelPath(os.path.join(folder, "mobilenet_v2.h5"))
judge.loadModel()

names, percentages = judge.classifyImage(os.path.join(folder, "ride.jpg"), result_count=5)
for name, percentage in zip(names, percentages):
    print(name, " : ", percentage)
"""

SEVERAL_CLASSIFICATIONS = """
from imageai.Prediction import ImagePrediction
import os

folder = os.getcwd()

judge = ImagePrediction()
judge.setModelTypeAsMobileNetV2()
judge.setModelPath(os.path.join(folder, "mobilenet_v2.h5"))
judge.loadModel(prediction_speed="fast")

pictures = [name for name in sorted(os.listdir(folder)) if name.endswith(".jpg") or name.endswith(".png")]
results = judge.predictMultipleImages(pictures, result_count_per_image=3)
for result in results:
    names, percentages = result["predictions"], result["percentage_probabilities"]
    for index in range(len(names)):
        print(names[index], " : ", percentages[index])
one = judge.predictImage(pictures[0], result_count=3)
"""
