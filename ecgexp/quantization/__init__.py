"""From a trained network to the ONNX file that is deployed, and the bundle that carries it."""
