"""2.6.2, predictor: with switch_ir_optim(False) a network without parameters raises when the predictor is
created (the number of variables to be loaded is 0). Gone with IR optimisation on, and in 3.x."""

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
config.disable_mkldnn()
config.switch_ir_optim(False)
print("expected", [[1, 0]])
predictor = paddle.inference.create_predictor(config)
predictor.get_input_handle("x").copy_from_cpu(x)
predictor.run()
got = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
print("got", got.tolist())
sys.exit(0 if got.tolist() == [[1.0, 0.0]] else 1)
