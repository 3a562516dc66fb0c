"""3.0.0 to 3.3.1, exported programs: a `while_loop` overwrites the value it starts from, so whoever else reads
that value reads the loop's result. A wrong answer without a word."""

import sys
import tempfile

import numpy as np
import paddle


class Network(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.linear = paddle.nn.Linear(4, 3)

    def forward(self, x):
        start = [paddle.zeros([1], "int32"), x]
        _, looped = paddle.static.nn.while_loop(lambda i, v: i < 1, lambda i, v: [i + 1, v * 2 + 1], start)
        return looped, self.linear(x)


net = Network()
net.eval()
x = np.random.default_rng(1).standard_normal([2, 4]).astype("float32")
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[paddle.static.InputSpec([None, 4], "float32", "x")])
expected = [tensor.numpy() for tensor in net(paddle.to_tensor(x))]
loaded = paddle.jit.load(prefix)
got = [tensor.numpy() for tensor in loaded(paddle.to_tensor(x))]
print("expected", expected, "got", got, sep="\n")
sys.exit(0 if all(np.allclose(e, g, atol=1e-5) for e, g in zip(expected, got)) else 1)
