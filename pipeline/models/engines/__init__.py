"""What runs a network: OpenVINO or TensorFlow, in a precision that the processor likes.

activation_ranges   Ranges of a network's activations, as Sightline ships them for weights that it has measured
base                What runs a network: the protocol of engines, and the choice of one by name
choices             What was measured on this machine before: the fastest engine and precision in a situation
compiled_shapes     A model compiled for inputs of any shape, and once more for those that come often
core_watch          Looks now and then how many processor cores there are to use
factory             Makes the engine that is asked for, or the best one where none is
fastest             The fastest engine and precision for a network on this machine
int8_files          Networks that were calibrated for int8, as the cache folder keeps them
int8_models         The network for int8 of given weights: calibrated here, else from shipped ranges
measuring           Finds the fastest of several ways to compute, by timing them in turn for a little while
onnx_engine         A network from an ONNX file on the CPU, in OpenVINO: images in, raw outputs out
onnx_factory        Makes what runs a network from an ONNX file
onnx_graph          An ONNX file as an OpenVINO model
onnx_memory         How much memory a network's intermediate results take, found by the shapes alone
openvino_core       The one ``openvino.Core`` of the process
openvino_engine     A network of the YOLOv3 family on the CPU, in OpenVINO: images in
openvino_int8       A network of the YOLOv3 family as an OpenVINO model in integers of eight bits
openvino_network    A network of the YOLOv3 family as an OpenVINO model
pictures            What runs a network from an ONNX file: the protocol of its engines
quantization        How numbers become integers of eight bits: activations by measured ranges, weights by their own
quiet_tensorflow    TensorFlow, imported once, without its chatter and without Keras
retinanet_engine    RetinaNet on the CPU, in TensorFlow: pictures in, raw outputs of every level out
retinanet_factory   Makes what runs RetinaNet: TensorFlow, in the precision that is asked for, or in the fastest here
tensorflow_engine   A network of the YOLOv3 family in TensorFlow, on the CPU or a GPU
tensorflow_session  How TensorFlow is set up to run a network on a processor
yolo                What runs a network of the YOLOv3 family: the protocol of its engines
"""
