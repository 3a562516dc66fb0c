"""`paddleslim.PTQ`: the network in memory after `save_quantized_model`, which was in eval mode all the time."""
import os
import sys
import tempfile

import numpy as np
import paddle
from paddleslim import PTQ

paddle.seed(0)
net = paddle.nn.Sequential(paddle.nn.Conv2D(1, 4, 3), paddle.nn.Flatten(), paddle.nn.Linear(4 * 26 * 26, 10))
net.eval()
ptq = PTQ(activation_quantizer="AbsmaxQuantizer")
quantized = ptq.quantize(net)
x = paddle.rand([8, 1, 28, 28])
quantized(x)
with tempfile.TemporaryDirectory() as folder:
    spec = [paddle.static.InputSpec([None, 1, 28, 28], "float32", "x")]
    ptq.save_quantized_model(quantized, os.path.join(folder, "model"), input_spec=spec)
scale = lambda: float(quantized[0]._fake_quant_input._scale)
before = scale()
first = quantized(x * 0.1).numpy()
for _ in range(20):
    quantized(x * 0.1)
off = float(np.abs(quantized(x * 0.1).numpy() - first).max())
print("Paddle", paddle.__version__, "network.training", quantized.training, "its quantizer's", quantized[0]._fake_quant_input.training)
print("expected: inference leaves the calibrated scale alone; got", before, "->", scale(), "outputs moved by", off)
sys.exit(abs(scale() - before) > 1e-6)
