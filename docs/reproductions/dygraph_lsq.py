"""PaddleSlim's LSQ quanters with `paddle.quantization.QAT`, as their docstrings show them: the first forward pass."""
import sys
import zlib  # noqa: F401  before Paddle 2.6.2, which brings its own

import paddle
from paddle.quantization import QAT, QuantConfig
from paddleslim.quant.quanters import ActLSQplusQuanter, WeightLSQplusQuanter

bad = 0
print("Paddle", paddle.__version__, "expected: a forward pass works")
for name, activation, weight in (
    ("ActLSQplusQuanter", ActLSQplusQuanter(), None),
    ("WeightLSQplusQuanter", None, WeightLSQplusQuanter()),
    ("WeightLSQplusQuanter(per_channel=True)", None, WeightLSQplusQuanter(per_channel=True)),
):
    paddle.seed(0)
    net = paddle.nn.Sequential(paddle.nn.Linear(16, 8))
    quantized = QAT(QuantConfig(activation=activation, weight=weight)).quantize(net)
    try:
        quantized(paddle.rand([4, 16]))
        print(name, "got: it does")
    except Exception as error:
        bad += 1
        print(name, "got:", type(error).__name__, str(error).strip().splitlines()[-1])
sys.exit(bad > 0)
