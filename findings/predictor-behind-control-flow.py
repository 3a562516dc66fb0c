"""3.0.0 to 3.3.1, predictor: a loop or branch whose last operator runs in oneDNN, and whose result another kernel reads
(here `trunc`): `could not create a primitive descriptor for a reorder primitive`, or `std::exception`. Gone without
onednn_placement_pass, with `disable_mkldnn()`, and where the loop starts from what oneDNN computed."""

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
        start = [paddle.zeros([1], "int32"), x]
        found = paddle.static.nn.while_loop(lambda i, v: i < 1, lambda i, v: [i + 1, F.relu(v)], start)
        return paddle.trunc(found[1]) * self.one

net = Network()
net.eval()
x = np.arange(4, dtype="float32").reshape(2, 2)
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[paddle.static.InputSpec([None, 2], "float32", "x")])
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
