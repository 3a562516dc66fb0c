"""`quant_recon_static`: `onnx_format=True` ruins the model, without it weights are no integers, regions fail at a flatten."""
import sys, tempfile
import numpy as np, paddle
from paddle import nn
from paddleslim.quant import quant_recon_static

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
    quant_recon_static(exe, d + "/float", d + "/" + name, data_loader=loader, model_filename="model.pdmodel",
                       params_filename="model.pdiparams", batch_size=32, batch_nums=4, epochs=5, **options)


def logits(name):
    with paddle.static.scope_guard(paddle.static.Scope()):
        program, feeds, fetches = paddle.static.load_inference_model(d + "/" + name + "/model", exe)
        return exe.run(program, feed={feeds[0]: images}, fetch_list=fetches)[0]


failed = []
with paddle.static.scope_guard(paddle.static.Scope()):
    quantize("plain"), quantize("onnx", onnx_format=True)
    paddle.static.load_inference_model(d + "/plain/model", exe)
    for name in ("conv2d_0.w_0", "linear_0.w_0"):
        weight = np.array(paddle.static.global_scope().find_var(name).get_tensor())
        off = float((np.abs(weight - np.round(weight)) > 0.01).mean())
        if off:
            failed.append(f"onnx_format=False: {off:.0%} of {name}, in [{weight.min():.0f}, {weight.max():.0f}], is no integer")
a, b = (float(np.abs(logits(name) - logits("float")).mean()) for name in ("plain", "onnx"))
if b > 3 * a:
    failed.append(f"onnx_format=True: logits off by {b:.3f}, without it by {a:.3f}; they reach {np.abs(logits('float')).max():.1f}")
try:
    with paddle.static.scope_guard(paddle.static.Scope()):
        quantize("regions", recon_level="region-wise")
except Exception as error:
    failed.append(f"region-wise: {type(error).__name__}: {str(error).splitlines()[0][:100]}")
print("expected: three models, about as accurate as the float one, with integers for weights\nfailed:", *failed, sep="\n  ")
sys.exit(bool(failed))
