"""`quant_post_hpo` where SMAC is missing: it has `python -m pip install` it in the middle of the call."""
import os, sys, tempfile
import numpy as np, paddle
from paddle import nn
from paddleslim.quant import quant_post_hpo

# Without this, the first `python` of the path would get 37 packages.
os.environ["PIP_NO_INDEX"] = "1"
os.chdir(tempfile.mkdtemp())
net = nn.Sequential(nn.Conv2D(1, 4, 3), nn.Flatten(), nn.Linear(144, 4))
net.eval()
paddle.jit.save(net, "float/model", input_spec=[paddle.static.InputSpec([None, 1, 8, 8], "float32", "x")])
program = next(name for name in os.listdir("float") if name.endswith((".json", ".pdmodel")))
paddle.enable_static()
where = paddle.CPUPlace()
x = paddle.static.data("x", [None, 1, 8, 8])
data = [(row,) for row in np.random.default_rng(0).normal(size=(64, 1, 8, 8)).astype("float32")]
loader = paddle.io.DataLoader(data, places=where, feed_list=[x], batch_size=32, return_list=False)
print("expected: a quantized model, and nothing installed")
try:
    quant_post_hpo(paddle.static.Executor(where), where, "float", "quantized", train_dataloader=loader, eval_dataloader=loader,
                   model_filename=program, params_filename="model.pdiparams", save_model_filename="model.pdmodel", runcount_limit=2)
except Exception as error:
    print(f"got: {type(error).__name__}: {error}, after the attempt of pip above")
    sys.exit(1)
print("got: a quantized model")
