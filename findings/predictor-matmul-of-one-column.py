"""3.0.0 to 3.3.1, predictor: a `matmul` whose inner dimension is 1, run by oneDNN, gives back
whatever its memory held: other numbers every time, without a word, by default. Gone with disable_mkldnn()."""

import os
import sys
import tempfile

import numpy as np
import paddle


class Network(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.weight = self.create_parameter([5, 1])
        self.weight.set_value(np.ones([5, 1], "float32"))

    def forward(self, x):
        return paddle.matmul(x, self.weight, transpose_y=True)


net = Network()
net.eval()
x = np.array([[1], [2]], "float32")
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[paddle.static.InputSpec([None, 1], "float32", "x")])
program = prefix + (".json" if os.path.exists(prefix + ".json") else ".pdmodel")
config = paddle.inference.Config(program, prefix + ".pdiparams")
config.disable_glog_info()
predictor = paddle.inference.create_predictor(config)
predictor.get_input_handle("x").copy_from_cpu(x)
predictor.run()
got = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
expected = net(paddle.to_tensor(x)).numpy()
print("expected", expected, "got", got, sep="\n")
sys.exit(0 if np.allclose(expected, got) else 1)
