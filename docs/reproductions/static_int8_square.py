"""oneDNN int8 of a `Linear` with as many outputs as inputs: whose scale does an output get?

Expected: int8 kernels a few hundredths from the simulation, whatever the shape of the weight. Got: the scales of a
square weight, one for each output, are taken along its inputs. So it is with
`enable_mkldnn_int8({"conv2d"})` too, which leaves the layer in float32.
"""
import sys, tempfile
import numpy as np, paddle
from paddle import inference
from paddleslim.quant import quant_post_static

rng, off = np.random.default_rng(0), {}
data = [(rng.normal(size=32).astype("float32"),) for _ in range(64)]
feed = np.stack([row for (row,) in data])
for outputs in (32, 31):
    paddle.disable_static()
    paddle.seed(0)
    net, folder = paddle.nn.Linear(32, outputs), tempfile.mkdtemp()
    # Each output has weights twice as large as the one 16 before it.
    net.weight.set_value(net.weight * 2 ** (paddle.arange(outputs) / 16).astype("float32"))
    paddle.jit.save(net, folder + "/f", input_spec=[paddle.static.InputSpec([None, 32], "float32", "x")])
    paddle.enable_static()
    executor, scores = paddle.static.Executor(paddle.CPUPlace()), []
    with paddle.static.program_guard(paddle.static.Program()):
        x = paddle.static.data("x", [None, 32])
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
    off[f"32 x {outputs}"] = round(float(np.linalg.norm(scores[1] - scores[0]) / np.linalg.norm(scores[0])), 3)
print("expected: both a few hundredths\ngot: what int8 kernels change, over the size of the output:", off)
sys.exit(off["32 x 32"] > 3 * off["32 x 31"])
