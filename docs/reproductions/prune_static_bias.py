"""PaddleSlim's static Pruner on a train program whose convolution has a bias (Conv2D's default) raises IndexError.

The worker of the operator reshape2 (which brings the bias from [c] to [1, c, 1, 1]) goes on to the bias
itself with axis 1; from there it reaches the optimizer's operator, and its accumulator, which has one axis.
"""
import gzip, sys, zlib  # noqa: E401, F401
import numpy as np, paddle
from paddleslim.prune import Pruner

print("paddle", paddle.__version__)
paddle.enable_static()
bad = False
for bias in (False, None):
    main, startup = paddle.static.Program(), paddle.static.Program()
    with paddle.static.scope_guard(paddle.static.Scope()), paddle.static.program_guard(main, startup):
        with paddle.utils.unique_name.guard():
            x = paddle.static.data("x", [None, 1, 28, 28])
            y = paddle.static.data("y", [None, 1], "int64")
            first = paddle.nn.Conv2D(1, 8, 3, bias_attr=bias)
            h = paddle.nn.functional.relu(paddle.nn.Conv2D(8, 4, 3, bias_attr=False)(first(x)))
            out = paddle.nn.Linear(4, 10)(paddle.flatten(paddle.nn.AdaptiveAvgPool2D(1)(h), 1))
            loss = paddle.mean(paddle.nn.functional.cross_entropy(out, y))
            paddle.optimizer.Momentum(0.1, 0.9).minimize(loss)
        exe = paddle.static.Executor(paddle.CPUPlace())
        exe.run(startup)
        name = "without bias" if bias is False else "with bias   "
        try:
            pruned, _, _ = Pruner().prune(
                main, paddle.static.global_scope(), [first.weight.name], [0.5], paddle.CPUPlace())
            feed = {"x": np.ones((2, 1, 28, 28), "float32"), "y": np.zeros((2, 1), "int64")}
            value = exe.run(pruned, feed=feed, fetch_list=[loss])[0]
            print(f"{name} expected: pruned and trained; got loss {float(np.asarray(value).reshape(-1)[0]):.4f}")
        except Exception as error:
            bad = True
            print(f"{name} expected: pruned and trained; got {type(error).__name__}: {str(error)[:150]}")
sys.exit(bad)
