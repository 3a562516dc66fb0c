"""2.6.2, predictor: a batch norm read by a ReLU and by something else: the other reader finds nothing (`DataType should be
indicated by input Variable`), or as an output the process ends (SIGSEGV). batch_norm_act_fuse_pass does it: gone
without that pass, and with `disable_mkldnn()`."""

import os
import sys
import tempfile

import numpy as np
import paddle
import paddle.nn.functional as F


class Network(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.norm = paddle.nn.BatchNorm1D(2, epsilon=0.0)

    def forward(self, x):
        v = self.norm(x)
        return paddle.maximum(F.relu(v), paddle.trunc(v))

net = Network()
net.eval()
x = np.arange(4, dtype="float32").reshape(2, 2)
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[paddle.static.InputSpec([None, 2], "float32", "x")])
program = prefix + (".json" if os.path.exists(prefix + ".json") else ".pdmodel")
config = paddle.inference.Config(program, prefix + ".pdiparams")
if "--without" in sys.argv:
    config.delete_pass("batch_norm_act_fuse_pass")
predictor = paddle.inference.create_predictor(config)
predictor.get_input_handle("x").copy_from_cpu(x)
predictor.run()
got = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
expected = net(paddle.to_tensor(x)).numpy()
print("expected", expected.ravel(), "got", got.ravel())
sys.exit(0 if np.array_equal(expected, got) else 1)
