"""Document 001's `convert(save_int8=True)` with the default configuration."""
import sys, tempfile
import numpy as np, paddle
from paddle import nn
from paddleslim.quant import convert, quant_aware

paddle.enable_static()
rng, d, place = np.random.default_rng(0), tempfile.mkdtemp(), paddle.CPUPlace()
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
qtrain, qtest = quant_aware(main, place, for_test=False), quant_aware(test, place, for_test=True)
train(qtrain)
try:
    print("expected: two programs\ngot:", len(convert(qtest, place, save_int8=True)), "programs")
except AssertionError as error:
    print("expected: two programs\ngot: AssertionError:", error)
    sys.exit(1)
