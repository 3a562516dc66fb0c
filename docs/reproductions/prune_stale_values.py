"""A pruner judges the filters by the values that the network had when the pruner was made, not when it prunes.

So a pruner that is made before the weights are loaded or trained chooses by the initial weights, silently.
"""
import gzip, logging, sys, zlib  # noqa: E401, F401
import numpy as np, paddle, paddleslim

logging.disable(logging.CRITICAL)
print("paddle", paddle.__version__)
bad = False
for early in (False, True):
    paddle.seed(1)
    conv = paddle.nn.Conv2D(1, 8, 3)
    net = paddle.nn.Sequential(conv, paddle.nn.ReLU(), paddle.nn.Flatten(), paddle.nn.Linear(8 * 36, 10))
    pruner = paddleslim.L1NormFilterPruner(net, [1, 1, 8, 8]) if early else None
    trained = np.random.default_rng(0).normal(size=[8, 1, 3, 3]).astype("float32")
    conv.weight.set_value(trained)  # what `set_state_dict` or training does
    pruner = pruner or paddleslim.L1NormFilterPruner(net, [1, 1, 8, 8])
    pruner.prune_vars({conv.weight.name: 0.5}, [0])
    best = np.sort(np.abs(trained).sum(axis=(1, 2, 3)).argsort()[4:])
    got = [int(np.abs(trained - row).sum(axis=(1, 2, 3)).argmin()) for row in conv.weight.numpy()]
    print(f"pruner made {'before' if early else 'after'} loading: expected {best.tolist()} kept, got {got}")
    bad |= got != best.tolist()
sys.exit(bad)
