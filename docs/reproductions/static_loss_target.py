"""Document 001 saves the loss as target: the file cannot be run with the inputs it declares."""
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
qtrain, qtest = (quant_aware(p, place, {"onnx_format": False}, for_test=t) for p, t in ((main, False), (test, True)))
train(qtrain)
program = convert(qtest, place, {"onnx_format": False})
paddle.static.save_inference_model(d + "/float", [x], [program.global_block().var(loss.name)], exe, program=program)
loaded, feeds, fetches = paddle.static.load_inference_model(d + "/float", exe)
print("expected: a prediction for a batch of images; the file's inputs are", feeds)
try:
    print("got:", exe.run(loaded, feed={"x": images}, fetch_list=fetches)[0].shape)
except Exception as error:
    print("got:", type(error).__name__, str(error).strip().splitlines()[-1][:150])
    sys.exit(1)
