"""What files hold: programs of both intermediate representations, compressed models, ONNX files, cost."""
