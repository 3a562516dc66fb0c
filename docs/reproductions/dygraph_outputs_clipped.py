"""`paddleslim.QAT` with its default `onnx_format=True`: the saved program quantizes what the network does not."""
import os
import sys
import tempfile
import zlib  # noqa: F401  before Paddle 2.6.2, which brings its own

import numpy as np
import paddle
from paddle.inference import Config, create_predictor
from paddleslim import QAT

bad = 0
for onnx_format in (False, True):
    paddle.seed(0)
    net = paddle.nn.Sequential(paddle.nn.Linear(16, 32), paddle.nn.ReLU(), paddle.nn.Linear(32, 10))
    quanter = QAT(config={"onnx_format": onnx_format})
    quanter.quantize(net)
    for _ in range(30):
        net(paddle.rand([64, 16]))
    net.eval()
    x = paddle.concat([paddle.rand([64, 16]), paddle.ones([1, 16]) * 3])
    wanted = net(x).numpy()
    with tempfile.TemporaryDirectory() as folder:
        spec = [paddle.static.InputSpec([None, 16], "float32", "x")]
        quanter.save_quantized_model(net, os.path.join(folder, "model"), input_spec=spec)
        config = Config(os.path.join(folder, "model.pdmodel"), os.path.join(folder, "model.pdiparams"))
        config.disable_glog_info()
        config.disable_mkldnn()
        predictor = create_predictor(config)
        predictor.get_input_handle(predictor.get_input_names()[0]).copy_from_cpu(x.numpy())
        predictor.run()
        got = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
    off = np.abs(got - wanted).max(axis=1)
    print("Paddle", paddle.__version__, "onnx_format", onnx_format)
    print("  expected: the outputs of the network; got differences up to %.4f, of outputs up to %.4f; %d different values" % (off.max(), np.abs(wanted).max(), len(np.unique(got))))
    bad += off.max() > 1e-3 * np.abs(wanted).max()
sys.exit(bad > 0)
