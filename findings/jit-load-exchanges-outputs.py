"""2.6.2, jit.load: boolean outputs come behind all others, whatever order the network returns them in.
A wrong answer without a word; 3.x keeps the order, and so do the static executor and the predictor."""

import sys
import tempfile

import paddle
import paddle.nn.functional as F


class Network(paddle.nn.Layer):
    def forward(self, x):
        return paddle.greater_equal(x, x * 2), F.softmax(x)


net = Network()
net.eval()
x = paddle.to_tensor([[1.0, -1.0]])
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[paddle.static.InputSpec([None, 2], "float32", "x")])
expected = [t.numpy() for t in net(x)]
got = [t.numpy() for t in paddle.jit.load(prefix)(x)]
print("expected", *expected, "got", *got, sep="\n")
sys.exit(0 if all(e.dtype == g.dtype and (e == g).all() for e, g in zip(expected, got)) else 1)
