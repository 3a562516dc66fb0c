"""3.0.0 to 3.3.1, predictor: two outputs that compute the same, as two casts of one value, are made one, and reading the other
raises `The variable named fetch_name_0 is not found`. Gone without the pass
common_subexpression_elimination_pass."""

import os
import sys
import tempfile

import numpy as np
import paddle


class Network(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.linear = paddle.nn.Linear(4, 3)

    def forward(self, x):
        y = self.linear(x) > 0
        return paddle.cast(y, "float32"), paddle.cast(y, "float32")


net = Network()
net.eval()
x = np.random.default_rng(1).standard_normal([2, 4]).astype("float32")
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[paddle.static.InputSpec([None, 4], "float32", "x")])
program = prefix + (".json" if os.path.exists(prefix + ".json") else ".pdmodel")
config = paddle.inference.Config(program, prefix + ".pdiparams")
config.disable_glog_info()
predictor = paddle.inference.create_predictor(config)
predictor.get_input_handle("x").copy_from_cpu(x)
predictor.run()
got = [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]
expected = [tensor.numpy() for tensor in net(paddle.to_tensor(x))]
print("expected", expected, "got", got, sep="\n")
sys.exit(0 if all(np.allclose(e, g, atol=1e-5) for e, g in zip(expected, got)) else 1)
