"""Do `quantize` and `convert` leave the network they are given alone, as `inplace=False` says?"""
import sys
import zlib  # noqa: F401  before Paddle 2.6.2, which brings its own

import numpy as np
import paddle
import paddleslim
from paddle.quantization import PTQ, QuantConfig
from paddle.quantization.observers import AbsmaxObserver

x = paddle.rand([32, 16])
bad = 0


def network():
    paddle.seed(0)
    net = paddle.nn.Sequential(paddle.nn.Linear(16, 8), paddle.nn.ReLU(), paddle.nn.Linear(8, 4))
    net.eval()
    return net


def told(name, net, before):
    global bad
    changed = bool(np.abs(net(x).numpy() - before).max() > 0) or "Quant" in str(net)
    bad += changed
    print("Paddle", paddle.__version__, name, "expected: unchanged; got:", "changed" if changed else "unchanged")


net = network()
before = net(x).numpy()
ptq = PTQ(QuantConfig(activation=AbsmaxObserver(), weight=AbsmaxObserver()))
observed = ptq.quantize(net)
observed(x)
told("paddle.quantization.PTQ.quantize", net, before)
held = {name: value.numpy() for name, value in observed.state_dict().items()}
ptq.convert(observed)
same = all((value.numpy() == held[name]).all() for name, value in observed.state_dict().items())
print("paddle.quantization.PTQ.convert expected: unchanged; got:", "unchanged" if same else "changed")
bad += not same
net = network()
slim = paddleslim.PTQ(activation_quantizer="AbsmaxQuantizer")
slim.quantize(net)(x)
told("paddleslim.PTQ.quantize", net, before)
net = network()
paddleslim.QAT().quantize(net)  # its docstring: "inplace (bool): ... Default: False."
told("paddleslim.QAT.quantize by default", net, before)
sys.exit(bad > 0)
