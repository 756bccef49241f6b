"""ONNX files that are not trusted: what they say of themselves, read before anything else opens them.

description  What an ONNX file says of itself: inputs, outputs, operators, metadata
external     Numbers that an ONNX file keeps in other files beside it
wire         The fields of a protobuf message, read within limits and without its schema
"""
