"""The state of a QAT network, saved and loaded into a fresh one: the same outputs?"""
import sys

import numpy as np
import paddle
from paddle.quantization import QAT, QuantConfig
from paddle.quantization.quanters import FakeQuanterWithAbsMaxObserver
from paddleslim.quant.quanters import FakeQuanterChannelWiseAbsMaxObserver, WeightLSQplusQuanter


def network():
    paddle.seed(0)
    return paddle.nn.Sequential(paddle.nn.Linear(16, 16), paddle.nn.ReLU(), paddle.nn.Linear(16, 4))


bad = 0
print("Paddle", paddle.__version__)
for activation, weight in (
    (FakeQuanterWithAbsMaxObserver(), FakeQuanterWithAbsMaxObserver()),
    (FakeQuanterWithAbsMaxObserver(), FakeQuanterChannelWiseAbsMaxObserver()),
    (FakeQuanterWithAbsMaxObserver(), WeightLSQplusQuanter(per_channel=True)),
):
    quantized, fresh = (QAT(QuantConfig(activation=activation, weight=weight)).quantize(network()) for _ in range(2))
    optimizer = paddle.optimizer.Adam(0.01, parameters=quantized.parameters())
    for _ in range(60):
        quantized(paddle.rand([64, 16])).square().mean().backward()
        optimizer.step()
        optimizer.clear_grad()
    missing, unexpected = fresh.set_state_dict(quantized.state_dict())
    quantized.eval(), fresh.eval()
    small = paddle.rand([4, 16]) * 0.1
    wanted, got, again = quantized(small).numpy(), fresh(small).numpy(), fresh(small * 3).numpy()
    off, drift = float(np.abs(wanted - got).max()), float(np.abs(fresh(small).numpy() - got).max())
    print(type(activation).__name__, type(weight).__name__, "missing", missing, "unexpected", unexpected)
    print("  expected: no difference; got", off, "and by a second run in eval mode", drift, "of", float(np.abs(wanted).max()))
    bad += off > 1e-6 or drift > 1e-6
sys.exit(bad > 0)
