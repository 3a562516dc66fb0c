"""PaddleSlim's static Pruner cuts the wrong rows of a Linear behind a flatten: 4 of 64 instead of 32.

The transform of the flatten repeats the pruned *indices* (right for a mask, as in dynamic graph), so row i of
the linear layer goes instead of rows i * h * w ... (i + 1) * h * w - 1, and the program cannot run any more.
"""
import gzip, sys, zlib  # noqa: E401, F401
import numpy as np, paddle
from paddleslim.prune import Pruner

print("paddle", paddle.__version__)
paddle.enable_static()
main, startup = paddle.static.Program(), paddle.static.Program()
with paddle.static.program_guard(main, startup):
    x = paddle.static.data("x", [None, 1, 6, 6])
    conv, linear = paddle.nn.Conv2D(1, 4, 3, bias_attr=False), paddle.nn.Linear(64, 10)
    out = linear(paddle.flatten(conv(x), 1))
exe = paddle.static.Executor(paddle.CPUPlace())
exe.run(startup)
scope = paddle.static.global_scope()
value = lambda name: np.array(scope.find_var(name).get_tensor())  # noqa: E731
weight, rows = value(conv.weight.name), value(linear.weight.name)
kept = np.sort(np.abs(weight).sum(axis=(1, 2, 3)).argsort()[2:])
expected = rows[(kept[:, None] * 16 + np.arange(16)).ravel()]
pruned, _, _ = Pruner().prune(main, scope, [conv.weight.name], [0.5], paddle.CPUPlace())
got = value(linear.weight.name)
print("filters kept: expected", kept.tolist(), "right:", np.array_equal(value(conv.weight.name), weight[kept]))
print("linear layer: expected", expected.shape, "got", got.shape)
print("rows missing:", [i for i, row in enumerate(rows) if not (got == row).all(axis=1).any()])
bad = got.shape != expected.shape or not np.array_equal(got, expected)
try:
    exe.run(pruned, feed={"x": np.ones((2, 1, 6, 6), "float32")}, fetch_list=[out])
    print("the pruned program runs")
except Exception as error:
    bad = True
    lines = str(error).strip().splitlines()
    print("the pruned program:", type(error).__name__, next((t for t in lines if "Error:" in t), lines[-1]).strip())
sys.exit(bad)
