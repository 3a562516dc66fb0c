"""2.6.2 to 3.3.1, predictor: of two activations behind a linear layer the first is left out: `swish(sigmoid(linear(x)))`
gives `swish(linear(x))`, without a word, by default. Gone without the pass fc_act_mkldnn_fuse_pass (2.6.2)
or fc_activation_fuse_pass (3.x)."""

import os
import sys
import tempfile

import numpy as np
import paddle
import paddle.nn.functional as F


class Network(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.linear = paddle.nn.Linear(4, 3)

    def forward(self, x):
        return F.swish(F.sigmoid(self.linear(x)))


paddle.seed(1)
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
got = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
expected = net(paddle.to_tensor(x)).numpy()
print("expected", expected, "got", got, sep="\n")
sys.exit(0 if np.allclose(expected, got, atol=1e-5) else 1)
