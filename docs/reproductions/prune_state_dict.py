"""The checkpoint of a pruned network is larger than that of the whole one: it holds both.

The pruner backs every value up in a persistable buffer, for `plan.restore`; `state_dict` holds those too.
Upstream: PaddleSlim issue 1861 (open), pull request 834 (closed, not merged).
"""
import gzip, os, sys, tempfile, zlib  # noqa: E401, F401
import paddle, paddleslim

print("paddle", paddle.__version__)
net = paddle.nn.Sequential(paddle.nn.Conv2D(1, 32, 3), paddle.nn.ReLU(), paddle.nn.Conv2D(32, 32, 3),
                           paddle.nn.ReLU(), paddle.nn.Flatten(), paddle.nn.Linear(32 * 24 * 24, 10))
folder = tempfile.mkdtemp()
size = lambda name: os.path.getsize(os.path.join(folder, name))  # noqa: E731
paddle.save(net.state_dict(), os.path.join(folder, "whole"))
pruner = paddleslim.L1NormFilterPruner(net, [1, 1, 28, 28])
pruner.prune_vars({layer.weight.name: 0.5 for layer in net if hasattr(layer, "_groups")}, [0])
paddle.save(net.state_dict(), os.path.join(folder, "pruned"))
net.eval()
spec = [paddle.static.InputSpec([None, 1, 28, 28], "float32", "x")]
paddle.jit.save(net, os.path.join(folder, "export"), input_spec=spec)
print("parameters   ", sum(int(p.size) for p in net.parameters()) * 4, "bytes now")
print("checkpoint   ", size("whole"), "bytes before; expected fewer after, got", size("pruned"))
print("exported file", size("export.pdiparams"), "bytes")
print("new keys:", [key for key in net.state_dict() if "backup" in key][:3], "...")
sys.exit(size("pruned") >= size("whole"))
