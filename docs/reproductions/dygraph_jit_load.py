"""`paddleslim.QAT.save_quantized_model` says that it saves an inference model: can `paddle.jit.load` read it?"""
import os
import sys
import tempfile
import zlib  # noqa: F401  before Paddle 2.6.2, which brings its own

import paddle
from paddleslim import QAT

paddle.seed(0)
net = paddle.nn.Sequential(paddle.nn.Conv2D(1, 4, 3), paddle.nn.Flatten(), paddle.nn.Linear(4 * 64, 10))
quanter = QAT()
quanter.quantize(net)
net(paddle.rand([8, 1, 10, 10]))
net.eval()
print("Paddle", paddle.__version__)
with tempfile.TemporaryDirectory() as folder:
    prefix = os.path.join(folder, "model")
    spec = [paddle.static.InputSpec([None, 1, 10, 10], "float32", "x")]
    quanter.save_quantized_model(net, prefix, input_spec=spec)
    print("saved", sorted(os.listdir(folder)))
    try:
        paddle.jit.load(prefix)(paddle.rand([2, 1, 10, 10]))
    except Exception as error:
        print("expected: it loads and runs; got:", type(error).__name__, str(error).strip()[:200])
        sys.exit(1)
print("expected and got: it loads and runs")
