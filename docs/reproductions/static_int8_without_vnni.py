"""oneDNN int8 of a `Linear` with a bias, on a processor without VNNI: products are added in 16 bits, and saturate.

Expected: int8 kernels within a hundredth of the simulation. Got, where the processor has neither avx512_vnni nor
avx_vnni: half of the output off, without a word. NumPy gives the same to the last digit shown once it adds
neighbouring products in 16 bits, which is what oneDNN documents for such processors.
"""
import os, sys, tempfile
os.environ["FLAGS_enable_pir_api"] = "0"
import numpy as np, paddle
from paddle import inference
from paddleslim.quant import quant_post_static

rng = np.random.default_rng(0)
data = [(rng.normal(size=64).astype("float32"),) for _ in range(64)]
feed, folder = np.stack([row for (row,) in data]), tempfile.mkdtemp()
net, signs = paddle.nn.Linear(64, 10), np.sign(rng.normal(size=(64, 10))).astype("float32")
net.weight.set_value(signs)
bias = net.bias.numpy()
paddle.jit.save(net, folder + "/f", input_spec=[paddle.static.InputSpec([None, 64], "float32", "x")])
paddle.enable_static()
executor, scores = paddle.static.Executor(paddle.CPUPlace()), []
with paddle.static.program_guard(paddle.static.Program()):
    x = paddle.static.data("x", [None, 64])
    loader = paddle.io.DataLoader(data, places=paddle.CPUPlace(), feed_list=[x], batch_size=8, return_list=False)
    quant_post_static(executor, folder, folder + "/q", data_loader=loader, model_filename="f.pdmodel",
                      params_filename="f.pdiparams", batch_size=8, batch_nums=8, algo="abs_max")
for int8 in (False, True):
    config = inference.Config(folder + "/q/model.pdmodel", folder + "/q/model.pdiparams")
    config.disable_glog_info()
    config.enable_mkldnn() if int8 else config.disable_mkldnn()
    if int8:
        config.enable_mkldnn_int8()
    predictor = inference.create_predictor(config)
    predictor.get_input_handle("x").copy_from_cpu(feed)
    predictor.run()
    scores.append(predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu())
scale = np.abs(feed).max() / 127
levels, weight = np.round(feed / scale).astype(int) + 128, 127 * signs.astype(int)
pairs = (levels[:, :, None] * weight).reshape(64, 32, 2, 10).sum(2)
in_16_bits = (np.clip(pairs, -(2**15), 2**15 - 1).sum(1) - 128 * weight.sum(0)) * scale / 127 + bias
off = [round(float(np.linalg.norm(scores[1] - other) / np.linalg.norm(scores[1])), 3) for other in (scores[0], in_16_bits)]
print("expected: 0.01 or less off the simulation\ngot: int8 is off the simulation, and off NumPy's sums in 16 bits, by", off)
sys.exit(off[0] > 0.05)
