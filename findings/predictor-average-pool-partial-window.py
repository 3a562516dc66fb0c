"""2.6.2 to 3.3.1, predictor: avg_pool2d(ceil_mode=True, exclusive=False) divides the sum of a window that reaches over
the edge by another count in oneDNN than Paddle's own kernel does. A wrong answer without a word, by
default; gone with disable_mkldnn()."""

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
        return F.avg_pool2d(x * self.one, 3, 2, 0, ceil_mode=True, exclusive=False)


net = Network()
net.eval()
x = np.ones([1, 1, 4, 4], "float32")
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[paddle.static.InputSpec([None, 1, 4, 4], "float32", "x")])
program = prefix + (".json" if os.path.exists(prefix + ".json") else ".pdmodel")
config = paddle.inference.Config(program, prefix + ".pdiparams")
predictor = paddle.inference.create_predictor(config)
predictor.get_input_handle("x").copy_from_cpu(x)
predictor.run()
got = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
expected = net(paddle.to_tensor(x)).numpy()
print("expected", expected, "got", got, sep="\n")
sys.exit(0 if np.allclose(expected, got) else 1)
