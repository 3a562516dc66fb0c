"""PaddleSlim's static Pruner prunes nothing, and says so in a log line only, with an optimizer that it does not know.

Its search through the graph ends in every optimizer's operator; of all of Paddle's it knows momentum and adam.
The eval program, which has none, gets the smaller shapes; the values stay as large as they were.
"""
import gzip, logging, sys, zlib  # noqa: E401, F401
import numpy as np, paddle
from paddleslim.prune import Pruner

logging.disable(logging.CRITICAL)
print("paddle", paddle.__version__)
paddle.enable_static()
bad = False
for name in ("Momentum", "Adam", "AdamW", "SGD", "RMSProp", "Lamb"):
    main, startup = paddle.static.Program(), paddle.static.Program()
    with paddle.static.scope_guard(paddle.static.Scope()), paddle.static.program_guard(main, startup):
        x = paddle.static.data("x", [None, 1, 28, 28])
        y = paddle.static.data("y", [None, 1], "int64")
        conv = paddle.nn.Conv2D(1, 8, 3, bias_attr=False)
        h = paddle.nn.functional.relu(paddle.nn.BatchNorm2D(8)(conv(x)))
        out = paddle.nn.Linear(8, 10)(paddle.flatten(paddle.nn.AdaptiveAvgPool2D(1)(h), 1))
        loss = paddle.mean(paddle.nn.functional.cross_entropy(out, y))
        test = main.clone(for_test=True)
        getattr(paddle.optimizer, name)(learning_rate=0.1).minimize(loss)
        exe, scope = paddle.static.Executor(paddle.CPUPlace()), paddle.static.global_scope()
        exe.run(startup)
        arguments = dict(scope=scope, params=[conv.weight.name], ratios=[0.5], place=paddle.CPUPlace())
        small, _, _ = Pruner().prune(test, only_graph=True, **arguments)
        Pruner().prune(main, **arguments)
        got = np.array(scope.find_var(conv.weight.name).get_tensor()).shape
        print(f"{name:9s} filters: expected 4 of 8; got {got[0]} in the scope, "
              f"{small.global_block().var(conv.weight.name).shape[0]} in the eval program")
        bad |= got[0] != 4
sys.exit(bad)
