"""Detectors that come as ONNX files.

calibration  Calibrates a network from an ONNX file for int8, and refuses what then finds something else
detector     OnnxDetector: images in, boxes in the images' own pixels out
families     The families of networks: how each reads its picture and writes its boxes
layouts      How families write what they found: one module for each way, from raw outputs to boxes
matching     Which outputs a family has, by their shapes
recognition  Which family an ONNX network is one of, and what decides where several fit
"""
