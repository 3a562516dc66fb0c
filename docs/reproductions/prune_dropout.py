"""A convolution whose output meets a Dropout is not pruned in dynamic graph: asked for half, nothing is cut.

Dropout's operator has a second output, the mask, that nothing reads once it is traced; the pruners take every
such variable for a leaf of the network, and skip the convolutions that lead to one. A line in the log says so.
"""
import gzip, logging, sys, zlib  # noqa: E401, F401
import paddle, paddleslim

logging.disable(logging.CRITICAL)
print("paddle", paddle.__version__)
bad = False
for dropout in (0, 0.3):
    conv, linear = paddle.nn.Conv2D(1, 8, 3), paddle.nn.Linear(8 * 26 * 26, 10)
    middle = [paddle.nn.Dropout(dropout)] if dropout else []
    net = paddle.nn.Sequential(conv, paddle.nn.ReLU(), paddle.nn.Flatten(), *middle, linear)
    for mode in ("train", "eval"):
        getattr(net, mode)()
        pruner = paddleslim.L1NormFilterPruner(net, [1, 1, 28, 28])
        plan = pruner.prune_vars({conv.weight.name: 0.5}, [0])
        print(f"{'with' if dropout else 'without'} Dropout, {mode} mode: "
              f"expected 4 filters of 8, got {conv.weight.shape[0]}")
        bad |= conv.weight.shape[0] != 4
        plan.restore(net)
sys.exit(bad)
