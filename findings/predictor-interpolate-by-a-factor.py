"""3.3.0 and 3.3.1, predictor: F.interpolate(scale_factor=...) raises NotImplementedError in the default
configuration, where oneDNN is on (an array of doubles is no attribute it can convert). Gone with disable_mkldnn(); size= raises it too."""

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
        return F.interpolate(x * self.one, scale_factor=2, mode="nearest")


net = Network()
net.eval()
x = np.arange(24, dtype="float32").reshape(1, 2, 3, 4)
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[paddle.static.InputSpec([None, 2, 3, 4], "float32", "x")])
program = prefix + (".json" if os.path.exists(prefix + ".json") else ".pdmodel")
config = paddle.inference.Config(program, prefix + ".pdiparams")
predictor = paddle.inference.create_predictor(config)
predictor.get_input_handle("x").copy_from_cpu(x)
expected = net(paddle.to_tensor(x)).numpy()
print("expected", expected, sep="\n")
predictor.run()
got = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
print("got", got, sep="\n")
sys.exit(0 if np.allclose(expected, got, atol=1e-5) else 1)
