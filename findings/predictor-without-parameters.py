"""2.6.2 and 3.0.0, predictor: none can be created of a network without parameters (the number of variables to
be loaded is 0; no file of them was written). Gone in 3.1.0."""

import os
import sys
import tempfile

import numpy as np
import paddle


class Network(paddle.nn.Layer):
    def forward(self, x):
        return paddle.nn.functional.relu(x)


net = Network()
net.eval()
x = np.array([[1, -1]], "float32")
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[paddle.static.InputSpec([None, 2], "float32", "x")])
program = prefix + (".json" if os.path.exists(prefix + ".json") else ".pdmodel")
config = paddle.inference.Config(program, prefix + ".pdiparams")
print("expected", [[1, 0]])
predictor = paddle.inference.create_predictor(config)
predictor.get_input_handle("x").copy_from_cpu(x)
predictor.run()
got = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
print("got", got.tolist())
sys.exit(0 if got.tolist() == [[1.0, 0.0]] else 1)
