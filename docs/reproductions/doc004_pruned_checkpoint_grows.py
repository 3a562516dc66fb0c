"""A pruned network's checkpoint is larger than the unpruned one's: it holds the old weights beside the new.

Expected: after half of the filters are pruned, `paddle.save(net.state_dict())` writes less than before.
Got: more, for the pruner registers a copy of every unpruned parameter as a buffer of its layer
(`<parameter>_backup`, named after generated names, so that a reload may miss it).
"""
import os, sys, tempfile
import paddle, paddle.nn as nn
from paddleslim.dygraph import FPGMFilterPruner

paddle.seed(1)
net = nn.Sequential(nn.Conv2D(3, 64, 3), nn.ReLU(), nn.Conv2D(64, 64, 3), nn.ReLU(), nn.Conv2D(64, 64, 3))
folder = tempfile.mkdtemp()


def size(name):
    paddle.save(net.state_dict(), f"{folder}/{name}.pdparams")
    return os.path.getsize(f"{folder}/{name}.pdparams")


before = size("before")
pruner = FPGMFilterPruner(net, [1, 3, 16, 16])
pruner.prune_vars({net[0].weight.name: 0.5, net[2].weight.name: 0.5}, [0])
after = size("after")
backups = [name for name in net.state_dict() if name.endswith("_backup")]
print(f"expected: fewer than {before} bytes; got: {after}; copies of unpruned parameters: {len(backups)}")
sys.exit(after >= before)
