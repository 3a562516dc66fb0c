"""`paddleslim.PTQ.save_quantized_model`: runs only where the program is written in legacy IR."""
import os
import sys
import tempfile

import paddle
from paddleslim import PTQ

paddle.seed(0)
net = paddle.nn.Sequential(paddle.nn.Conv2D(1, 4, 3), paddle.nn.Flatten(), paddle.nn.Linear(4 * 26 * 26, 10))
net.eval()
ptq = PTQ()
quantized = ptq.quantize(net)
quantized(paddle.rand([8, 1, 28, 28]))
print("Paddle", paddle.__version__, "new IR:", os.environ.get("FLAGS_enable_pir_api", "default"))
print("expected: the quantized program is saved")
with tempfile.TemporaryDirectory() as folder:
    spec = [paddle.static.InputSpec([None, 1, 28, 28], "float32", "x")]
    try:
        ptq.save_quantized_model(quantized, os.path.join(folder, "model"), input_spec=spec)
    except Exception as error:
        print("got:", type(error).__name__, str(error).strip()[:300])
        sys.exit(1)
    print("got:", sorted(os.listdir(folder)))
