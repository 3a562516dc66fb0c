"""3.0.0 to 3.3.1, predictor: none can be created where an unsqueeze behind a transpose (or a product) is not read once:
`The type tensor<...> of outputs[0][0] must be equal to type ... of inputs[0]`. Gone without
operator_unsqueeze_onednn_fuse_pass, and with `disable_mkldnn()`."""

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
        v = paddle.unsqueeze(x * self.one, 2)
        return paddle.concat([v, v], 1)

net = Network()
net.eval()
x = np.arange(4, dtype="float32").reshape(2, 2)
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[paddle.static.InputSpec([None, 2], "float32", "x")])
program = prefix + (".json" if os.path.exists(prefix + ".json") else ".pdmodel")
config = paddle.inference.Config(program, prefix + ".pdiparams")
if "--without" in sys.argv:
    config.delete_pass("operator_unsqueeze_onednn_fuse_pass")
predictor = paddle.inference.create_predictor(config)
predictor.get_input_handle("x").copy_from_cpu(x)
predictor.run()
got = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
expected = net(paddle.to_tensor(x)).numpy()
print("expected", expected.ravel(), "got", got.ravel())
sys.exit(0 if np.array_equal(expected, got) else 1)
