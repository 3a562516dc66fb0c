"""`jit.save` of a network converted by `paddle.quantization.PTQ`, with a dynamic and with a fixed batch."""
import os
import sys
import tempfile
import zlib  # noqa: F401  before Paddle 2.6.2, which brings its own

import numpy as np
import paddle
from paddle.inference import Config, create_predictor
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
bad = 0
for batch in (None, 32):
    with tempfile.TemporaryDirectory() as folder:
        prefix = os.path.join(folder, "model")
        try:
            paddle.jit.save(converted, prefix, input_spec=[paddle.static.InputSpec([batch, 16], "float32", "x")])
            program = prefix + (".json" if os.path.exists(prefix + ".json") else ".pdmodel")
            config = Config(program, prefix + ".pdiparams")
            config.disable_glog_info()
            config.disable_mkldnn()
            predictor = create_predictor(config)
            predictor.get_input_handle(predictor.get_input_names()[0]).copy_from_cpu(x.numpy())
            predictor.run()
            got = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
        except Exception as error:
            bad += 1
            print("Paddle", paddle.__version__, "batch", batch, "expected: it is saved and runs; got:", type(error).__name__, str(error).strip().splitlines()[-2:])
            continue
    off = float(np.abs(got - wanted).max())
    bad += off > 1e-3
    print("Paddle", paddle.__version__, "batch", batch, "expected: the outputs of the converted network; got a difference of", off, "of", float(np.abs(wanted).max()))
sys.exit(bad > 0)
