"""A weight that `matmul(transpose_y=True)` reads: its scales are taken along one axis and applied along the other."""
import sys, tempfile
import numpy as np, paddle
from paddle import nn
from paddleslim.quant import quant_post_static


class Tied(nn.Layer):
    def __init__(self, rows):
        super().__init__()
        self.weight = self.create_parameter([rows, 16])
        self.weight.set_value(np.float32(rng.normal(size=(rows, 16)) * 10.0 ** np.linspace(-2, 1, rows)[:, None]))

    def forward(self, x):
        return paddle.matmul(x, self.weight, transpose_y=True)


rng, d, bad = np.random.default_rng(0), tempfile.mkdtemp(), False
data = rng.uniform(0, 1, (128, 16)).astype("float32")
for rows in (16, 10):
    paddle.disable_static()
    net = Tied(rows)
    net.eval()
    paddle.jit.save(net, f"{d}/{rows}/model", input_spec=[paddle.static.InputSpec([None, 16], "float32", "x")])
    true = net(paddle.to_tensor(data)).numpy()
    paddle.enable_static()
    exe = paddle.static.Executor(paddle.CPUPlace())
    with paddle.static.program_guard(paddle.static.Program()):
        x = paddle.static.data("x", [None, 16])
    loader = paddle.io.DataLoader([(row,) for row in data], places=paddle.CPUPlace(), feed_list=[x], batch_size=32, return_list=False)
    for onnx in (True, False):
        try:
            quant_post_static(exe, f"{d}/{rows}", f"{d}/q", data_loader=loader, model_filename="model.pdmodel", batch_size=32,
                              params_filename="model.pdiparams", batch_nums=4, algo="abs_max", onnx_format=onnx)
            program, feeds, fetches = paddle.static.load_inference_model(f"{d}/q/model", exe)
            got = exe.run(program, feed={feeds[0]: data}, fetch_list=fetches)[0]
            worst = float((np.abs(got - true).mean(0) / np.abs(true).mean(0)).max())
        except Exception as error:
            worst = f"{type(error).__name__} {str(error).strip().splitlines()[-1][:100]}"
        print(f"weight {rows}x16, onnx_format={onnx}: expected a relative error of about 0.02 in each column\ngot: {worst}")
        bad |= not isinstance(worst, float) or worst > 0.2
sys.exit(bad)
