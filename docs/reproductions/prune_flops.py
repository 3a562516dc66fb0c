"""Three functions that say FLOPs count multiply-adds, each something else beside; one forgets the batch."""
import gzip, sys, zlib  # noqa: E401, F401
import paddle
from paddleslim.analysis import dygraph_flops, flops

print("paddle", paddle.__version__)
net = paddle.nn.Sequential(paddle.nn.Conv2D(1, 8, 3, bias_attr=False), paddle.nn.BatchNorm2D(8), paddle.nn.ReLU(),
                           paddle.nn.Flatten(), paddle.nn.Linear(8 * 26 * 26, 10))
conv, linear, units = 26 * 26 * 8 * 9, 8 * 26 * 26 * 10, 8 * 26 * 26
row, rows = [1, 1, 28, 28], [4, 1, 28, 28]
print("by hand: multiply-adds", conv + linear, "- FLOPs", 2 * (conv + linear), "- one unit each", units)
found = {
    "paddle.flops": paddle.flops(net, row),
    "paddleslim.analysis.dygraph_flops": dygraph_flops(net, row),
    "paddleslim.analysis.flops": flops(net, row),
}
for name, value in found.items():
    print(f"{name}: {value:.0f} = multiply-adds + {(value - conv - linear) / units:.0f} a unit")
four = flops(net, rows)
print("flops of four rows: expected", 4 * (conv + linear), "got", int(four), "= conv once + linear four times:",
      four == conv + 4 * linear)
sys.exit(len(set(found.values())) > 1 or four != 4 * found["paddleslim.analysis.flops"])
