"""paddleslim.UnstructuredPruner: every step makes its masks boolean, and 3.x multiplies no float by a bool."""
import gzip, sys, zlib  # noqa: E401, F401
import paddle, paddleslim

print("paddle", paddle.__version__)
net = paddle.nn.Sequential(paddle.nn.Conv2D(1, 8, 3), paddle.nn.Flatten(), paddle.nn.Linear(8 * 26 * 26, 10))
pruner = paddleslim.UnstructuredPruner(net, mode="ratio", ratio=0.5)
before = {str(mask.dtype) for mask in pruner.masks.values()}
pruner.step()
print("dtype of the masks:", before, "then", {str(mask.dtype) for mask in pruner.masks.values()})
try:
    pruner.update_params()
except Exception as error:
    print("expected half of the weights zero; got", type(error).__name__, str(error)[:120])
    sys.exit(1)
print("expected half of the weights zero; got", round(paddleslim.UnstructuredPruner.total_sparse(net), 3))
