"""3.0.0 to 3.3.1, predictor: PReLU of a value that was flattened (reshaped to fewer axes, squeezed) gives what its memory held,
other numbers every time; the same shapes without flattening then do so too in that process. Gone with `disable_mkldnn()`."""

import os
import sys
import tempfile

import numpy as np
import paddle
import paddle.nn.functional as F


class Network(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.slope = self.create_parameter([1], default_initializer=paddle.nn.initializer.Constant(0.25))

    def forward(self, x):
        return F.prelu(paddle.flatten(x, 1), self.slope)

net = Network()
net.eval()
x = -np.arange(8, dtype="float32").reshape(2, 2, 2)
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[paddle.static.InputSpec([None, 2, 2], "float32", "x")])
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
