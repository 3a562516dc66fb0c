"""mse, emd and ptf take the scale of one batch alone: a batch of empty images destroys the model."""
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
calibration = [(image,) for image in [*images[:96], *np.zeros_like(images[:32])]]
loader = paddle.io.DataLoader(calibration, places=paddle.CPUPlace(), feed_list=[x], batch_size=32, return_list=False)


def quantize(name, **options):
    quant_post_static(exe, d + "/float", d + "/" + name, data_loader=loader, model_filename="model.pdmodel",
                      params_filename="model.pdiparams", batch_size=32, batch_nums=4, **options)


def logits(name):
    program, feeds, fetches = paddle.static.load_inference_model(d + "/" + name + "/model", exe)
    return exe.run(program, feed={feeds[0]: images}, fetch_list=fetches)[0]


def accuracy(name):
    return float((logits(name).argmax(1) == labels).mean())


accuracies = {}
for algo in ("abs_max", "hist", "avg", "mse", "emd", "ptf"):
    quantize(algo, algo=algo)
    accuracies[algo] = round(accuracy(algo), 3)
print(f"expected: near the float accuracy, {accuracy('float'):.3f}\ngot: {accuracies}")
sys.exit(min(accuracies.values()) < max(accuracies.values()) - 0.1)
