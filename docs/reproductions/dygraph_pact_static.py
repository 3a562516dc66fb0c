"""`paddleslim.QAT` with PACT: what `save_quantized_model` does to the process."""
import os
import sys
import tempfile

import paddle
from paddleslim import QAT

paddle.seed(0)
net = paddle.nn.Sequential(paddle.nn.Conv2D(1, 4, 3), paddle.nn.Flatten(), paddle.nn.Linear(4 * 26 * 26, 10))
quanter = QAT(config={"activation_preprocess_type": "PACT"})
quanter.quantize(net)
net(paddle.rand([8, 1, 28, 28]))
net.eval()
print("Paddle", paddle.__version__)
print("expected: a saved program, and the process still in dynamic graph mode")
with tempfile.TemporaryDirectory() as folder:
    spec = [paddle.static.InputSpec([None, 1, 28, 28], "float32", "x")]
    try:
        quanter.save_quantized_model(net, os.path.join(folder, "model"), input_spec=spec)
    except Exception as error:
        print("got:", type(error).__name__, str(error).strip()[:400])
        sys.exit(1)
    print("got:", sorted(os.listdir(folder)), "dynamic mode:", paddle.in_dynamic_mode())
sys.exit(not paddle.in_dynamic_mode())
