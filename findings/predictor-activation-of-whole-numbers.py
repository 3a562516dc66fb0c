"""2.6.2, predictor: of an activation behind an addition of whole numbers none can be created: `oneDNN activation
fuses require use_mkldnn=True`. Gone without the pass elementwise_act_onednn_fuse_pass."""

import os
import sys
import tempfile

import numpy as np
import paddle


class Network(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.linear = paddle.nn.Linear(4, 3)

    def forward(self, x):
        whole = paddle.cast(self.linear(x), "int64")
        return paddle.abs(whole + whole)


net = Network()
net.eval()
x = np.random.default_rng(1).standard_normal([2, 4]).astype("float32")
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[paddle.static.InputSpec([None, 4], "float32", "x")])
program = prefix + (".json" if os.path.exists(prefix + ".json") else ".pdmodel")
config = paddle.inference.Config(program, prefix + ".pdiparams")
config.disable_glog_info()
predictor = paddle.inference.create_predictor(config)
predictor.get_input_handle("x").copy_from_cpu(x)
predictor.run()
got = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
expected = net(paddle.to_tensor(x)).numpy()
print("expected", expected, "got", got, sep="\n")
sys.exit(0 if (expected == got).all() else 1)
