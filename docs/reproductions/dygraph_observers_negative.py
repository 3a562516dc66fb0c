"""PaddleSlim's EMD and KL observers on values of both signs, and on negative ones."""
import sys

import numpy as np
import paddle
from paddleslim.quant.observers import AbsmaxObserver, AVGObserver, EMDObserver, HistObserver, KLObserver, MSEObserver

rng = np.random.default_rng(0)
values = rng.normal(0, 1, [64, 100]).astype("float32")
cases = {"normal": values, "mostly negative": values - 4, "all negative": -np.abs(values) - 0.1}
bad = 0
print("Paddle", paddle.__version__)
for name, array in cases.items():
    top = float(np.abs(array).max())
    for factory in (AbsmaxObserver, AVGObserver, MSEObserver, HistObserver, EMDObserver, KLObserver):
        observer = factory()._instance(None)
        try:
            observer(paddle.to_tensor(array))
            scale = float(observer.scales())
        except Exception as error:
            print(name, factory.__name__, type(error).__name__, str(error).splitlines()[-1][:120])
            bad += 1
            continue
        kept = float((np.abs(array) <= scale).mean())
        print("%s %s: largest value %.2f, scale %.2f, clips %.1f %% of the values" % (name, factory.__name__, top, scale, 100 * (1 - kept)))
        bad += kept < 0.9 or scale > 1.2 * top
print("expected: a scale at most as large as the largest value, that clips only few values")
sys.exit(bad > 0)
