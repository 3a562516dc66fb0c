"""3.0.0 to 3.3.1, predictor: a value that an element-wise operator reads first and a pooling second is overwritten in
between; the pooling pools what the other operator computed. A wrong answer without a word, by default.
inplace_pass does it where oneDNN runs the pooling: gone without that pass, and with disable_mkldnn()."""

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
        v = F.relu(x * self.one)
        return paddle.sin(v), F.max_pool2d(v, 2)


net = Network()
net.eval()
x = np.arange(4, dtype="float32").reshape(1, 1, 2, 2)
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[paddle.static.InputSpec([None, 1, 2, 2], "float32", "x")])
program = prefix + (".json" if os.path.exists(prefix + ".json") else ".pdmodel")
config = paddle.inference.Config(program, prefix + ".pdiparams")
if "--without" in sys.argv:
    config.delete_pass("inplace_pass")
predictor = paddle.inference.create_predictor(config)
predictor.get_input_handle("x").copy_from_cpu(x)
predictor.run()
got = predictor.get_output_handle(predictor.get_output_names()[1]).copy_to_cpu()
print("expected", net(paddle.to_tensor(x))[1].item(), "got", got.item())
sys.exit(0 if got.item() == 3.0 else 1)
