"""3.3.0, 3.3.1, predictor: a leaky ReLU behind any convolution ends the process (SIGSEGV in create_predictor).
conv_activation_onednn_fuse_pass does it: gone without that pass, and with `disable_mkldnn()`."""

import os
import sys
import tempfile

import numpy as np
import paddle
import paddle.nn.functional as F


class Network(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = paddle.nn.Conv2D(1, 2, 1, bias_attr=False)
        self.conv.weight.set_value(np.array([1, -1], "float32").reshape(2, 1, 1, 1))

    def forward(self, x):
        return F.leaky_relu(self.conv(x), 0.25)

net = Network()
net.eval()
x = np.arange(4, dtype="float32").reshape(1, 1, 2, 2)
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[paddle.static.InputSpec([None, 1, 2, 2], "float32", "x")])
program = prefix + (".json" if os.path.exists(prefix + ".json") else ".pdmodel")
config = paddle.inference.Config(program, prefix + ".pdiparams")
if "--without" in sys.argv:
    config.delete_pass("conv_activation_onednn_fuse_pass")
predictor = paddle.inference.create_predictor(config)
predictor.get_input_handle("x").copy_from_cpu(x)
predictor.run()
got = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
expected = net(paddle.to_tensor(x)).numpy()
print("expected", expected.ravel(), "got", got.ravel())
sys.exit(0 if np.array_equal(expected, got) else 1)
