"""oneDNN int8 on files of `onnx_format=False`: 3.x clips what 2.6.2 left in float32."""
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


import paddle.inference as I
quantize("new"), quantize("old", onnx_format=False)


def predict(name, int8):
    config = I.Config(f"{d}/{name}/model.pdmodel", f"{d}/{name}/model.pdiparams")
    config.disable_glog_info(), config.enable_mkldnn() if int8 else config.disable_mkldnn()
    if int8:
        config.enable_mkldnn_int8()
    predictor = I.create_predictor(config)
    predictor.get_input_handle("x").copy_from_cpu(2 * images)  # twice as large as what calibrated it
    predictor.run()
    return predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()


far = {name: float(np.abs(predict(name, True) - predict(name, False)).max()) for name in ("new", "old")}
print("expected: int8 kernels equally far from the simulation in both forms\ngot: largest difference of a logit:", far,
      "of logits up to", float(np.abs(predict("old", False)).max()))
sys.exit(far["old"] > 2 * far["new"])
