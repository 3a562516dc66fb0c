"""mse and emd with `onnx_format=False`, and ptf always, search their scale as if no activation were negative."""
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
data = rng.uniform(-8, 1, (128, 16)).astype("float32")
loader = paddle.io.DataLoader([(row,) for row in data], places=paddle.CPUPlace(), feed_list=[x], batch_size=32, return_list=False)


def logits(name):
    program, feeds, fetches = paddle.static.load_inference_model(d + "/" + name + "/model", exe)
    return exe.run(program, feed={feeds[0]: data}, fetch_list=fetches)[0]


true, bad = logits("float"), False
print("expected: the input's scale near", np.abs(data).max(), "and a small error; the logits reach", np.abs(true).max())
for algo in ("abs_max", "mse", "emd", "ptf"):
    for onnx in (True, False):
        name = f"{algo}, onnx_format={onnx}"
        quant_post_static(exe, d + "/float", d + "/" + name, data_loader=loader, model_filename="model.pdmodel", algo=algo,
                          params_filename="model.pdiparams", batch_size=32, batch_nums=4, quantizable_op_type=["matmul_v2"],
                          onnx_format=onnx)
        error = float(np.abs(logits(name) - true).mean())
        scale = float(np.array(paddle.static.global_scope().find_var("x@scale").get_tensor()).max())
        print(f"got: {name}: scale {scale:.3f}, mean error of the logits {error:.4f}")
        bad |= scale < 6
sys.exit(bad)
