"""`WeightLSQplusQuanter(per_channel=True)`: the second forward pass makes the step as large as the largest weight."""
import sys

import numpy as np
import paddle
from paddle.quantization import QAT, QuantConfig
from paddleslim.quant.quanters import WeightLSQplusQuanter

paddle.seed(0)
net = paddle.nn.Sequential(paddle.nn.Conv2D(4, 8, 3))
x = paddle.rand([8, 4, 8, 8])
wanted = net(x).numpy()
weight = WeightLSQplusQuanter(per_channel=True)
quantized = QAT(QuantConfig(activation=None, weight=weight)).quantize(net)
errors = []
for run in range(3):
    off = float(np.abs(quantized(x).numpy() - wanted).max())
    step = float(np.asarray(quantized[0].weight_quanter.scales()).max())
    errors.append(off)
    print("Paddle", paddle.__version__, "forward", run, "step", step, "outputs off by", off, "of", float(np.abs(wanted).max()))
print("expected: the step stays near the largest weight / 127 =", float(net[0].weight.abs().max()) / 127)
sys.exit(errors[-1] > 2 * errors[0])
