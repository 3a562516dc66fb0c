"""2.6.2 to 3.3.1, predictor: behind a conv2d(data_format="NHWC") run by oneDNN, axes are counted as if it were NCHW: a
softmax over axis 1 is over another axis. A wrong answer without a word, by default (other neighbours
raise, or give another shape); gone with disable_mkldnn()."""

import os
import sys
import tempfile

import numpy as np
import paddle
import paddle.nn.functional as F


class Network(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = paddle.nn.Conv2D(4, 2, 1, data_format="NHWC")

    def forward(self, x):
        return F.softmax(self.conv(x), axis=1)


net = Network()
net.eval()
x = np.random.default_rng(1).standard_normal([2, 3, 5, 4]).astype("float32")
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[paddle.static.InputSpec([None, 3, 5, 4], "float32", "x")])
program = prefix + (".json" if os.path.exists(prefix + ".json") else ".pdmodel")
config = paddle.inference.Config(program, prefix + ".pdiparams")
predictor = paddle.inference.create_predictor(config)
predictor.get_input_handle("x").copy_from_cpu(x)
predictor.run()
got = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
expected = net(paddle.to_tensor(x)).numpy()
print("expected", expected, "got", got, sep="\n")
sys.exit(0 if np.allclose(expected, got, atol=1e-5) else 1)
