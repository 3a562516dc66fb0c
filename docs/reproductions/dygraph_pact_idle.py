"""`paddleslim.QAT` with PACT as its tutorial writes it: do the clipping thresholds learn anything?"""
import sys
import zlib  # noqa: F401  before Paddle 2.6.2, which brings its own

import numpy as np
import paddle
from paddleslim import QAT


def trained(config):
    paddle.seed(0)
    net = paddle.nn.Sequential(paddle.nn.Linear(16, 32), paddle.nn.ReLU(), paddle.nn.Linear(32, 10))
    QAT(config=config).quantize(net)
    optimizer = paddle.optimizer.Adam(1e-3, parameters=net.parameters())
    rng = np.random.default_rng(0)
    for _ in range(50):
        x = paddle.to_tensor(rng.random((64, 16), dtype="float32"))
        loss = paddle.nn.functional.cross_entropy(net(x), (x.argmax(axis=1, keepdim=True)) % 10)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
    net.eval()
    thresholds = [float(p) for name, p in net.named_parameters() if name.endswith("alpha")]
    return net(paddle.to_tensor(rng.random((64, 16), dtype="float32"))).numpy(), thresholds


plain, _ = trained({})
pact, thresholds = trained({"activation_preprocess_type": "PACT"})
print("Paddle", paddle.__version__)
print("expected: thresholds that moved from 100; got", thresholds)
print("outputs bit-equal to those of plain QAT:", bool((plain == pact).all()))
sys.exit(bool((plain == pact).all()))
