"""A pruner that is given an optimizer with a loaded state leaves that state whole: the next step fails.

A loaded state waits until the first step; the pruner cuts only what has been there in a step already.
"""
import gzip, logging, sys, zlib  # noqa: E401, F401
import paddle, paddleslim
import os, tempfile

STATES = os.path.join(tempfile.mkdtemp(), "states")

logging.disable(logging.CRITICAL)
print("paddle", paddle.__version__)


def network():
    net = paddle.nn.Sequential(paddle.nn.Conv2D(1, 8, 3), paddle.nn.ReLU(), paddle.nn.Flatten(),
                               paddle.nn.Linear(8 * 36, 10))
    return net, paddle.optimizer.Adam(0.001, parameters=net.parameters())


def step(net, optimizer):
    loss = paddle.nn.functional.cross_entropy(net(paddle.ones([4, 1, 8, 8])), paddle.zeros([4, 1], "int64"))
    loss.backward()
    optimizer.step()
    optimizer.clear_grad()
    return float(loss)


with paddle.utils.unique_name.guard():
    first, trained = network()
    step(first, trained)
with paddle.utils.unique_name.guard():
    second, loaded = network()
    paddle.save([first.state_dict(), trained.state_dict()], STATES)
    states = paddle.load(STATES)
    second.set_state_dict(states[0])
    loaded.set_state_dict(states[1])
bad = False
for name, net, optimizer in (("trained here", first, trained), ("state loaded", second, loaded)):
    pruner = paddleslim.L1NormFilterPruner(net, [1, 1, 8, 8], opt=optimizer)
    pruner.prune_vars({net[0].weight.name: 0.5}, [0])
    try:
        print(f"optimizer {name}: expected a step; got loss {step(net, optimizer):.4f}")
    except Exception as error:
        bad = True
        print(f"optimizer {name}: expected a step; got {type(error).__name__}: {str(error)[:160]}")
sys.exit(bad)
