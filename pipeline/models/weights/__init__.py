"""Files of weights, read into arrays. No framework inside, and nothing in a file is ever run.

darknet            Darknet's ``.weights`` files, read into arrays. No framework inside
fitting            Fits the named arrays of a file to a network's convolutions, or says why they don't
formats            Tells the kinds of weights files apart by what is in them
hdf5               The data sets of an HDF5 file that isn't trusted
keras              Keras' ``.h5`` files of YOLOv3 networks, as ImageAI 2 and its kin use them
keras_writer       Writes weights as Keras 2's ``save_weights`` does
parameters         The numbers of a convolution, whatever file they came from
pickles            A reader of the pickles inside PyTorch's files that can run nothing
pytorch            PyTorch's ``.pt`` and ``.pth`` files
pytorch_retinanet  RetinaNet's weights from a state dict that PyTorch saved
pytorch_writer     Writes a state dict in PyTorch's own layout, without PyTorch
pytorch_yolo       YOLOv3 networks in PyTorch's state dicts
"""
