"""What files and programs hold: programs of both representations, compressed models, ONNX files, cost."""
