"""What runs a network: TensorFlow or OpenVINO, in a precision that the processor likes."""
