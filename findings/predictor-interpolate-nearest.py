"""2.6.2 to 3.2.2, predictor: oneDNN's interpolation to the nearest takes the middle of what Paddle takes the corner of.
A wrong answer without a word, by default. Gone with `disable_mkldnn()`. 3.3 raises (predictor-interpolate-by-a-factor)."""

import os
import sys
import tempfile

import numpy as np
import paddle
import paddle.nn.functional as F


class Network(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.one = self.create_parameter([1], default_initializer=paddle.nn.initializer.Constant(1.0))

    def forward(self, x):
        return F.interpolate(x * self.one, size=[1, 2], mode="nearest")

net = Network()
net.eval()
x = np.arange(6, dtype="float32").reshape(1, 1, 1, 6)
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[paddle.static.InputSpec([None, 1, 1, 6], "float32", "x")])
program = prefix + (".json" if os.path.exists(prefix + ".json") else ".pdmodel")
config = paddle.inference.Config(program, prefix + ".pdiparams")
if "--without" in sys.argv:
    config.disable_mkldnn()
predictor = paddle.inference.create_predictor(config)
predictor.get_input_handle("x").copy_from_cpu(x)
predictor.run()
got = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
expected = net(paddle.to_tensor(x)).numpy()
print("expected", expected.ravel(), "got", got.ravel())
sys.exit(0 if np.array_equal(expected, got) else 1)
