"""A sensitivity file that is there is believed, whatever network and weights it was measured on: nothing is measured.

Its keys are parameter names, which every network of the same layout has; nothing else is compared.
The static graph's `paddleslim.prune.sensitivity` does the same. Give each measurement a file of its own.
"""
import gzip, logging, os, sys, tempfile, zlib  # noqa: E401, F401
import paddle, paddleslim

logging.disable(logging.CRITICAL)
print("paddle", paddle.__version__)
file = os.path.join(tempfile.mkdtemp(), "sensitivities.pickle")
calls = []


def measured(seed, accuracy):
    with paddle.utils.unique_name.guard():  # the names of a new process
        paddle.seed(seed)
        net = paddle.nn.Sequential(paddle.nn.Conv2D(1, 8, 3), paddle.nn.ReLU(), paddle.nn.Flatten(),
                                   paddle.nn.Linear(8 * 36, 10))
        pruner = paddleslim.L1NormFilterPruner(net, [1, 1, 8, 8])
    calls.clear()

    def evaluate():
        calls.append(1)
        return accuracy

    found = pruner.sensitive(eval_func=evaluate, sen_file=file)
    print(f"network {seed}: expected 10 evaluations, got {len(calls)}; sensitivities of {list(found)}")


measured(1, 0.9)
measured(2, 0.5)
sys.exit(not calls)
