"""2.6.2 to 3.3.1, predictor: one element of a vector, `v[0]`, has the shape [1] where the dynamic graph has [].
Gone with `disable_mkldnn()`."""

import os
import sys
import tempfile

import numpy as np
import paddle


class Network(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.one = self.create_parameter([1], default_initializer=paddle.nn.initializer.Constant(1.0))

    def forward(self, x):
        v = paddle.max(x * self.one)
        return paddle.maximum(v, paddle.unsqueeze(v, 0)[0])

net = Network()
net.eval()
x = np.array([[2, 3]], "float32")
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
print("expected", expected.shape, "got", got.shape)
sys.exit(0 if np.array_equal(expected, got) else 1)
