"""PaddleSlim's MSE and EMD observers: a batch that does not improve on an earlier one throws the result away."""
import sys

import numpy as np
import paddle
from paddleslim.quant.observers import EMDObserver, MSEObserver

rng = np.random.default_rng(0)
first = rng.exponential(1.0, [64, 100]).astype("float32")
second = first.copy()
second[0, 0] = 100.0  # one outlier, which both are there to clip
bad = 0
for factory in (MSEObserver, EMDObserver):
    scales = []
    for batches in ([second], [first, second], [second, first]):
        observer = factory()._instance(None)
        for batch in batches:
            observer(paddle.to_tensor(batch))
        scales.append(float(observer.scales()))
    print("Paddle", paddle.__version__, factory.__name__, "outlier alone %.2f, plain then outlier %.2f, outlier then plain %.2f" % tuple(scales))
    bad += abs(scales[1] - scales[2]) > 0.05 * scales[2]
print("expected: the order of the calibration batches does not matter")
sys.exit(bad > 0)
