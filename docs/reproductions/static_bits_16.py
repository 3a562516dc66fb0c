"""`weight_bits=16` with PaddleSlim's default `onnx_format=True` stores 16-bit weights in int8: they wrap."""
import sys, tempfile
import numpy as np, paddle
from paddle import nn
from paddleslim.quant import quant_post_static

rng, d = np.random.default_rng(0), tempfile.mkdtemp()
paddle.seed(0)
templates = rng.normal(size=(10, 1, 8, 8))
labels = rng.integers(0, 10, 1000)
images = (templates[labels] + rng.normal(scale=1.5, size=(1000, 1, 8, 8))).astype("float32")
net = nn.Sequential(nn.Conv2D(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10))
adam = paddle.optimizer.Adam(0.01, parameters=net.parameters())
for _ in range(60):
    loss = nn.functional.cross_entropy(net(paddle.to_tensor(images)), paddle.to_tensor(labels))
    loss.backward(), adam.step(), adam.clear_grad()
net.eval()
paddle.jit.save(net, d + "/float/model", input_spec=[paddle.static.InputSpec([None, 1, 8, 8], "float32", "x")])
paddle.enable_static()
exe = paddle.static.Executor(paddle.CPUPlace())
x = paddle.static.data("x", [None, 1, 8, 8])
calibration = [(image,) for image in images[:128]]
loader = paddle.io.DataLoader(calibration, places=paddle.CPUPlace(), feed_list=[x], batch_size=32, return_list=False)


def quantize(name, **options):
    quant_post_static(exe, d + "/float", d + "/" + name, data_loader=loader, model_filename="model.pdmodel",
                      params_filename="model.pdiparams", batch_size=32, batch_nums=4, **options)


def logits(name):
    program, feeds, fetches = paddle.static.load_inference_model(d + "/" + name + "/model", exe)
    return exe.run(program, feed={feeds[0]: images}, fetch_list=fetches)[0]


def accuracy(name):
    return float((logits(name).argmax(1) == labels).mean())


quantize("w8"), quantize("w16", weight_bits=16, activation_bits=16)
quantize("w16fake", weight_bits=16, activation_bits=16, onnx_format=False)
a, b, c, e = (accuracy(name) for name in ("float", "w8", "w16", "w16fake"))
print(f"expected: 16 bits at least as good as 8, {b:.3f} (float {a:.3f}; 16 bits with onnx_format=False {e:.3f})\ngot: {c:.3f}")
sys.exit(c < b - 0.05)
