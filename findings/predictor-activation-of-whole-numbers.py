"""Predictor, an activation behind an addition of whole numbers: 3.x leaves it out, a wrong answer without a word, by
default; in 2.6.2 no predictor can be created (`oneDNN activation fuses require use_mkldnn=True`). Gone without the
pass elementwise_act_onednn_fuse_pass, and with `disable_mkldnn()`."""

import os
import sys
import tempfile

import numpy as np
import paddle


class Network(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.linear = paddle.nn.Linear(3, 3)

    def forward(self, x):
        whole = paddle.cast(x + 0 * self.linear(x), "int64")
        return paddle.abs(whole + whole)

net = Network()
net.eval()
x = np.array([[-3, 0, 5]], "float32")
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[paddle.static.InputSpec([None, 3], "float32", "x")])
program = prefix + (".json" if os.path.exists(prefix + ".json") else ".pdmodel")
config = paddle.inference.Config(program, prefix + ".pdiparams")
if "--without" in sys.argv:
    config.delete_pass("elementwise_act_onednn_fuse_pass")
predictor = paddle.inference.create_predictor(config)
predictor.get_input_handle("x").copy_from_cpu(x)
predictor.run()
got = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
expected = net(paddle.to_tensor(x)).numpy()
print("expected", expected.ravel(), "got", got.ravel())
sys.exit(0 if np.array_equal(expected, got) else 1)
