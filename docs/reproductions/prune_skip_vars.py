"""`sensitive_prune` skips a layer of one network since another one, pruned before, had a depthwise layer of that name.

The default of `skip_vars` is one list for all calls, and the call appends the depthwise layers to it.
"""
import gzip, logging, os, sys, tempfile, zlib  # noqa: E401, F401
import paddle, paddleslim

logging.disable(logging.CRITICAL)
print("paddle", paddle.__version__)


def plain():
    return paddle.nn.Sequential(paddle.nn.Conv2D(1, 16, 3), paddle.nn.ReLU(), paddle.nn.Conv2D(16, 16, 3),
                                paddle.nn.ReLU(), paddle.nn.Conv2D(16, 8, 3), paddle.nn.Flatten(),
                                paddle.nn.Linear(8 * 100, 10))


def depthwise():
    return paddle.nn.Sequential(paddle.nn.Conv2D(1, 16, 3), paddle.nn.ReLU(), paddle.nn.Conv2D(16, 16, 3, groups=16),
                                paddle.nn.ReLU(), paddle.nn.Conv2D(16, 8, 3), paddle.nn.Flatten(),
                                paddle.nn.Linear(8 * 100, 10))


def pruned(make):
    with paddle.utils.unique_name.guard():  # the names that a process of its own would give
        net = make()
        pruner = paddleslim.L1NormFilterPruner(net, [1, 1, 16, 16])
    pruner.sensitive(eval_func=lambda: 1.0, sen_file=os.path.join(tempfile.mkdtemp(), "s.pickle"))
    pruner.sensitive_prune(0.4)
    return [layer.weight.shape[0] for layer in net if hasattr(layer, "_groups")]


first = pruned(plain)
pruned(depthwise)
second = pruned(plain)
print("filters left: expected the same twice; got", first, "then, after a network with a depthwise layer,", second)
sys.exit(first != second)
