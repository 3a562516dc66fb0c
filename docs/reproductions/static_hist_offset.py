"""hist and KL forget the smallest absolute value: an input in [4, 6] gets a scale of 2 instead of 6."""
import sys, tempfile
import numpy as np, paddle
from paddle import nn
from paddleslim.quant import quant_post_static

rng, d = np.random.default_rng(0), tempfile.mkdtemp()
paddle.seed(0)
net = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))
net.eval()
paddle.jit.save(net, d + "/float/model", input_spec=[paddle.static.InputSpec([None, 16], "float32", "x")])
paddle.enable_static()
exe = paddle.static.Executor(paddle.CPUPlace())
x = paddle.static.data("x", [None, 16])
data = rng.uniform(4, 6, (128, 16)).astype("float32")
loader = paddle.io.DataLoader([(row,) for row in data], places=paddle.CPUPlace(), feed_list=[x], batch_size=32, return_list=False)


def logits(name):
    program, feeds, fetches = paddle.static.load_inference_model(d + "/" + name + "/model", exe)
    return exe.run(program, feed={feeds[0]: data}, fetch_list=fetches)[0]


true, bad = logits("float"), False
print("expected: the input's scale near", data.max(), "and a small error; the logits reach", np.abs(true).max())
for algo in ("abs_max", "avg", "hist", "KL"):
    quant_post_static(exe, d + "/float", d + "/" + algo, data_loader=loader, model_filename="model.pdmodel",
                      params_filename="model.pdiparams", batch_size=32, batch_nums=4, algo=algo, quantizable_op_type=["matmul_v2"])
    error = float(np.abs(logits(algo) - true).mean())
    scale = float(np.array(paddle.static.global_scope().find_var("x@scale").get_tensor()).max())
    print(f"got: {algo}: scale {scale:.3f}, mean error of the logits {error:.4f}")
    bad |= scale < 4
sys.exit(bad)
