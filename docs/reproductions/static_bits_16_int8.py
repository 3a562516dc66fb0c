"""oneDNN int8 on a model whose weights have 16 bits: it runs, and its answers are wrong."""
import sys, tempfile
import numpy as np, paddle
from paddle import inference, nn
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
    h = nn.functional.relu(nn.Conv2D(1, 8, 3, padding=1)(x))
    logits = paddle.static.nn.fc(nn.functional.relu(nn.Conv2D(8, 8, 3, padding=1)(h)), 10)
    loss = nn.functional.cross_entropy(logits, y)
    paddle.optimizer.Adam(0.01).minimize(loss)
exe = paddle.static.Executor(place)
exe.run(startup)
test = main.clone(for_test=True)


def train(program, steps=60):
    for _ in range(steps):
        exe.run(program, feed={"x": images, "y": labels}, fetch_list=[loss.name])


def accuracy(prefix, int8):
    config = inference.Config(prefix + ".pdmodel", prefix + ".pdiparams")
    (config.enable_mkldnn if int8 else config.disable_mkldnn if hasattr(config, "disable_mkldnn") else lambda: None)()
    if int8:
        config.enable_mkldnn_int8()
    predictor = inference.create_predictor(config)
    predictor.get_input_handle(predictor.get_input_names()[0]).copy_from_cpu(images)
    predictor.run()
    got = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
    return float((got.argmax(1) == labels[:, 0]).mean())


train(main)
got = {}
for bits in (8, 16):
    with paddle.static.scope_guard(paddle.static.Scope()):
        exe.run(startup), train(main)
        config = {"weight_bits": bits, "onnx_format": False}
        qtrain, qtest = quant_aware(main, place, config, for_test=False), quant_aware(test, place, config, for_test=True)
        train(qtrain, 20)
        saved = convert(qtest, place, config)
        prefix = f"{d}/{bits}"
        paddle.static.save_inference_model(prefix, [saved.global_block().var("x")], [saved.global_block().var(logits.name)], exe, program=saved)
    got[f"{bits} bits"] = {"as saved": accuracy(prefix, False), "int8 kernels": accuracy(prefix, True)}
print("expected: about the same accuracy on int8 kernels, or a refusal\ngot:", got)
sys.exit(any(found["int8 kernels"] < found["as saved"] - 0.03 for found in got.values()))
