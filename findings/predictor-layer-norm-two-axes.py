"""3.0.0 to 3.3.1, predictor: a layer norm over more than the last axis raises in the default configuration, where oneDNN
is on: onednn_placement_pass gives it to a kernel that has the last axis only. Gone with disable_mkldnn()."""

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
        return F.layer_norm(x * self.one, [3, 4])


net = Network()
net.eval()
x = np.arange(24, dtype="float32").reshape(2, 3, 4)
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[paddle.static.InputSpec([None, 3, 4], "float32", "x")])
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
