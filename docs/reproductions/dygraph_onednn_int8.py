"""A network converted by `paddle.quantization` on oneDNN's int8 kernels, against the same files without oneDNN."""
import os
import sys
import tempfile
import zlib  # noqa: F401  before Paddle 2.6.2, which brings its own

import numpy as np
import paddle
from paddle.inference import Config, create_predictor
from paddle.quantization import PTQ, QuantConfig
from paddle.quantization.observers import AbsmaxObserver


def run(prefix, int8, x):
    program = prefix + (".json" if os.path.exists(prefix + ".json") else ".pdmodel")
    config = Config(program, prefix + ".pdiparams")
    config.disable_glog_info()
    config.disable_mkldnn()
    if int8:
        config.enable_mkldnn()
        config.enable_mkldnn_int8()
    predictor = create_predictor(config)
    predictor.get_input_handle(predictor.get_input_names()[0]).copy_from_cpu(x)
    predictor.run()
    return predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()


paddle.seed(0)
net = paddle.nn.Sequential(paddle.nn.Conv2D(1, 8, 3), paddle.nn.ReLU(), paddle.nn.Flatten(), paddle.nn.Linear(8 * 64, 10))
net.eval()
x = np.random.default_rng(0).random((16, 1, 10, 10), dtype="float32")
wanted = net(paddle.to_tensor(x)).numpy()
ptq = PTQ(QuantConfig(activation=AbsmaxObserver(), weight=AbsmaxObserver()))
observed = ptq.quantize(net)
observed(paddle.to_tensor(x))
bad = 0
print("Paddle", paddle.__version__, "float outputs up to", float(np.abs(wanted).max()))
for remain_weight in (False, True):
    with tempfile.TemporaryDirectory() as folder:
        prefix = os.path.join(folder, "model")
        spec = [paddle.static.InputSpec([None, 1, 10, 10], "float32", "x")]
        paddle.jit.save(ptq.convert(observed, remain_weight=remain_weight), prefix, input_spec=spec)
        plain, int8 = run(prefix, False, x), run(prefix, True, x)
    off = float(np.abs(int8 - wanted).max())
    print("remain_weight=%s: off by %.4f without oneDNN; expected about that with int8, got %.4f" % (remain_weight, float(np.abs(plain - wanted).max()), off))
    bad += off > 0.2 * float(np.abs(wanted).max())
sys.exit(bad > 0)
