"""The default quantizer of `paddleslim.PTQ` (KL) on data that is mostly zeros, as images and ReLU outputs are."""
import sys
import zlib  # noqa: F401  before Paddle 2.6.2, which brings its own

import numpy as np
import paddle
from paddle.quantization.imperative.ptq_quantizer import HistQuantizer, KLQuantizer
from paddleslim.quant.observers import KLObserver

rng = np.random.default_rng(0)
bad = 0
print("Paddle", paddle.__version__)
for zeros in (0.0, 0.5, 0.8, 0.95):
    x = rng.integers(1, 256, [256, 784]).astype("float32") / 255
    x[rng.random(x.shape) < zeros] = 0
    observer = KLObserver()._instance(None)
    observer(paddle.to_tensor(x))
    found = {"KLObserver": float(observer.scales())}
    for quantizer in (KLQuantizer(), HistQuantizer()):
        quantizer.sample_data(None, (paddle.to_tensor(x),))
        quantizer.cal_thresholds()
        found[type(quantizer).__name__] = quantizer.thresholds[0]
    print("%2.0f %% zeros, the rest uniform up to 1:" % (100 * zeros), {k: round(v, 3) for k, v in found.items()}, "clipped of what is not zero: %.0f %%" % (100 * (x[x > 0] > found["KLQuantizer"]).mean()))
    bad += found["KLQuantizer"] < 0.9
print("expected: thresholds near 1, as nothing is an outlier")
sys.exit(bad > 0)
