"""`paddle.quantization.QAT.convert` after the reference's own example: quanters have no zero points."""
import sys

import paddle
from paddle.quantization import QAT, QuantConfig
from paddle.quantization.quanters import FakeQuanterWithAbsMaxObserver
from paddle.vision.models import LeNet

paddle.seed(0)
quanter = FakeQuanterWithAbsMaxObserver(moving_rate=0.9)
qat = QAT(QuantConfig(activation=quanter, weight=quanter))
quantized = qat.quantize(LeNet())
quantized(paddle.rand([2, 1, 28, 28]))
print("Paddle", paddle.__version__)
print("expected: convert() returns the converted network")
try:
    qat.convert(quantized)
except Exception as error:
    print("got:", type(error).__name__, str(error).strip().splitlines()[-1])
    sys.exit(1)
print("got: it does")
