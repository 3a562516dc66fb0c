"""Every dynamic-graph pruner of PaddleSlim 2.6.0 and its dygraph_flops need an attribute that Paddle 3.0 dropped.

What is worse, the failure leaves the process in static graph mode: the program goes on with other errors.
"""
import gzip, sys, zlib  # noqa: E401, F401
import paddle, paddleslim

print("paddle", paddle.__version__)
net = paddle.nn.Sequential(paddle.nn.Conv2D(1, 8, 3), paddle.nn.Flatten(), paddle.nn.Linear(8 * 36, 10))
calls = {"dygraph_flops": lambda: paddleslim.analysis.dygraph_flops(net, [1, 1, 8, 8])}
for name in ("L1NormFilterPruner", "L2NormFilterPruner", "FPGMFilterPruner"):
    calls[name] = lambda name=name: getattr(paddleslim, name)(net, [1, 1, 8, 8])
bad = False
for name, call in calls.items():
    paddle.disable_static()
    try:
        call()
        print(name, "expected: works; got: works")
    except Exception as error:
        bad = True
        print(name, "expected: works; got", type(error).__name__, str(error)[:90], "- dynamic mode after:",
              paddle.in_dynamic_mode())
sys.exit(bad)
