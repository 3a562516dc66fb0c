"""`paddle.quantization.PTQ`: the converted network, and the same through `jit.save` and `jit.load`."""
import os
import sys
import tempfile
import zlib  # noqa: F401  before Paddle 2.6.2, which brings its own

import numpy as np
import paddle
from paddle.quantization import PTQ, QuantConfig
from paddle.quantization.observers import AbsmaxObserver

paddle.seed(0)
net = paddle.nn.Sequential(paddle.nn.Linear(16, 8), paddle.nn.ReLU(), paddle.nn.Linear(8, 4))
net.eval()
x = paddle.rand([32, 16])
ptq = PTQ(QuantConfig(activation=AbsmaxObserver(), weight=AbsmaxObserver()))
observed = ptq.quantize(net)
observed(x)
converted = ptq.convert(observed)
wanted = converted(x).numpy()
print("Paddle", paddle.__version__, "float network within", float(np.abs(net(x).numpy() - wanted).max()), "of the converted one")
with tempfile.TemporaryDirectory() as folder:
    prefix = os.path.join(folder, "model")
    paddle.jit.save(converted, prefix, input_spec=[paddle.static.InputSpec([None, 16], "float32", "x")])
    loaded = paddle.jit.load(prefix)
    loaded.eval()
    got = loaded(x).numpy()
held = {name: float(np.asarray(p).reshape(-1)[0]) for name, p in converted.named_parameters() if p.size == 1}
back = {p.name: float(np.asarray(p).reshape(-1)[0]) for p in loaded.parameters() if p.size == 1}
print("scalars of the converted network:", {k: round(v, 4) for k, v in held.items()})
print("scalars of the loaded one:", {k: round(v, 4) for k, v in back.items()})
off = float(np.abs(got - wanted).max())
print("expected: the same outputs; got a difference of", off, "of", float(np.abs(wanted).max()))
sys.exit(off > 1e-3)
