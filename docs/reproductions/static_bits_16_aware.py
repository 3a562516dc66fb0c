"""`weight_bits=16` in quant_aware with the default `onnx_format=True`: `convert` stores them in int8."""
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
got = {}
for name, config in (("8 bits", {}), ("16 bits", {"weight_bits": 16}), ("16 bits, onnx_format=False", {"weight_bits": 16, "onnx_format": False})):
    with paddle.static.scope_guard(paddle.static.Scope()):
        exe.run(startup), train(main)
        qtrain, qtest = quant_aware(main, place, config, for_test=False), quant_aware(test, place, config, for_test=True)
        train(qtrain)
        got[name] = (accuracy(qtest), accuracy(convert(qtest, place, config)))
print("expected: the same accuracy before and after convert\ngot:", got)
sys.exit(any(b < a - 0.1 for a, b in got.values()))
