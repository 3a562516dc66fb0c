"""`paddleslim.QAT` with `fuse_conv_bn=True`: the network it quantizes keeps every BatchNorm."""
import sys
import zlib  # noqa: F401  before Paddle 2.6.2, which brings its own

import paddle
from paddleslim import QAT

paddle.seed(0)
net = paddle.nn.Sequential(paddle.nn.Conv2D(1, 4, 3), paddle.nn.BatchNorm2D(4), paddle.nn.ReLU())
QAT(config={"fuse_conv_bn": True}).quantize(net)
left = [name for name, layer in net.named_sublayers() if isinstance(layer, paddle.nn.BatchNorm2D)]
print("Paddle", paddle.__version__)
print("expected: BatchNorm layers after `quantize`: []")
print("got:     ", left, "(fuse_utils.fuse_conv_bn fuses a copy of the model and drops it)")
sys.exit(bool(left))
