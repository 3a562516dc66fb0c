"""`convert` changes the weights under the program it is given: later runs and a second `convert` go wrong."""
import sys
import numpy as np, paddle
from paddle import nn
from paddleslim.quant import convert, quant_aware

paddle.enable_static()
rng, place = np.random.default_rng(0), paddle.CPUPlace()
templates = rng.normal(size=(10, 1, 8, 8))
labels = rng.integers(0, 10, (1000, 1))
images = (templates[labels[:, 0]] + rng.normal(scale=1.5, size=(1000, 1, 8, 8))).astype("float32")
main, startup = paddle.static.Program(), paddle.static.Program()
main.random_seed = startup.random_seed = 1
with paddle.static.program_guard(main, startup):
    x, y = paddle.static.data("x", [None, 1, 8, 8]), paddle.static.data("y", [None, 1], "int64")
    logits = paddle.static.nn.fc(nn.functional.relu(nn.Conv2D(1, 8, 3, padding=1)(x)), 10)
    loss = nn.functional.cross_entropy(logits, y)
    paddle.optimizer.Adam(0.01).minimize(loss)
exe = paddle.static.Executor(place)
exe.run(startup)
test = main.clone(for_test=True)

def train(program, steps=60):
    for _ in range(steps):
        exe.run(program, feed={"x": images, "y": labels}, fetch_list=[loss.name])

def accuracy(program):
    return float((exe.run(program, feed={"x": images, "y": labels}, fetch_list=[logits.name])[0].argmax(1) == labels[:, 0]).mean())

train(main)
def attempt(what, *arguments):
    try:
        return round(what(*arguments), 3)
    except Exception as error:
        return type(error).__name__ + " " + str(error).strip().splitlines()[-1].strip()

bad = False
for config in ({"onnx_format": False}, {"onnx_format": True}):
    with paddle.static.scope_guard(paddle.static.Scope()):
        exe.run(startup), train(main)
        qtrain, qtest = quant_aware(main, place, config, for_test=False), quant_aware(test, place, config, for_test=True)
        train(qtrain)
        before, first = accuracy(qtest), accuracy(convert(qtest, place, config))
        after, second = attempt(accuracy, qtest), attempt(lambda: accuracy(convert(qtest, place, config)))
    print(config, f"expected: {before:.3f} throughout\ngot: converted {first:.3f}, the quantized program afterwards {after}, "
          f"converted again {second}")
    bad |= after != round(before, 3) or second != round(first, 3)
sys.exit(bad)
