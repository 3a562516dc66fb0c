"""PaddleSlim's functions for static programs under the new intermediate representation."""
import os, sys, tempfile
import numpy as np, paddle
from paddle import nn
from paddleslim.quant import quant_aware, quant_embedding, quant_post_dynamic, quant_post_static

d, place, failed = tempfile.mkdtemp(), paddle.CPUPlace(), []
net = nn.Sequential(nn.Conv2D(1, 4, 3), nn.Flatten(), nn.Linear(144, 4))
net.eval()
paddle.jit.save(net, d + "/float/model", input_spec=[paddle.static.InputSpec([None, 1, 8, 8], "float32", "x")])
files = dict(model_filename=next(n for n in os.listdir(d + "/float") if n.endswith((".json", ".pdmodel"))), params_filename="model.pdiparams")
paddle.enable_static()
exe = paddle.static.Executor(place)
main, startup = paddle.static.Program(), paddle.static.Program()
with paddle.static.program_guard(main, startup):
    x = paddle.static.data("x", [None, 1, 8, 8])
    nn.Conv2D(1, 4, 3)(x)
tables, begin = paddle.static.Program(), paddle.static.Program()
with paddle.static.program_guard(tables, begin):
    nn.Embedding(8, 4)(paddle.static.data("tokens", [None, 4], "int64"))
exe.run(startup), exe.run(begin)
data = [(row,) for row in np.random.default_rng(0).normal(size=(64, 1, 8, 8)).astype("float32")]
loader = paddle.io.DataLoader(data, places=place, feed_list=[x], batch_size=32, return_list=False)
for name, call in {
    "quant_aware": lambda: quant_aware(main, place, for_test=True),
    "quant_post_static": lambda: quant_post_static(exe, d + "/float", d + "/ptq", data_loader=loader, batch_size=32, batch_nums=2, **files),
    "quant_post_dynamic": lambda: quant_post_dynamic(d + "/float", d + "/dynamic", **files),
    "quant_embedding": lambda: quant_embedding(tables, place),
}.items():
    try:
        call()
    except Exception as error:
        failed.append(f"{name}: {type(error).__name__} {error}"[:150].split("\n")[0])
print("expected: all four work\nfailed:", *failed, sep="\n  ")
sys.exit(bool(failed))
