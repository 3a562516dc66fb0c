"""`paddleslim.PTQ.quantize(fuse=True)` of Linear + BatchNorm1D scales the inputs of the weight, not its outputs."""
import sys

import numpy as np
import paddle
from paddleslim import PTQ

paddle.seed(0)
bad = []
for outputs in (6, 4):
    net = paddle.nn.Sequential(paddle.nn.Linear(6, outputs), paddle.nn.BatchNorm1D(outputs))
    net.train()
    for _ in range(50):
        net(paddle.randn([64, 6]) * 3 + 1)
    net[1].weight.set_value(paddle.linspace(0.1, 4, outputs))
    net.eval()
    x = paddle.randn([8, 6])
    print("Paddle", paddle.__version__, "Linear(6,", str(outputs) + "): expected the same outputs after fusing")
    try:
        fused = PTQ().quantize(net, fuse=True, fuse_list=[["0", "1"]])
        error = float(np.abs(fused(x).numpy() - net(x).numpy()).max())
        print("got: largest difference", error, "of", float(net(x).abs().max()))
        bad.append(error > 1e-4)
    except Exception as error:
        print("got:", type(error).__name__, str(error).strip().splitlines()[-1][:200])
        bad.append(True)
sys.exit(any(bad))
