"""An ``if`` and a ``while`` on tensor values, in plain Python.

``paddle.jit.save`` and ``paddle.jit.to_static`` convert them. A plain call of the layer while a static
program is built does not convert them; never try it without a time limit. Paddle 3.3.1 refuses it
(``bool(Tensor) is not supported in static graph mode``). In 2.6.2 a Variable is true, so the ``while``
adds operators until the memory is full; there, convert with
``paddle.jit.dy2static.convert_call_func.convert_call(layer.forward)(...)``.
"""

import numpy as np
import paddle
import paddle.nn.functional as F

from harness.worker.models.model import Input, ReferenceModel, Training

EFFORTS = 64


class AdaptiveRefiner(paddle.nn.Layer):
    """Refines a digit as often as its ``effort`` asks for.

    ``image`` float32 ``[n, 1, 28, 28]``, ``effort`` int64 ``[n, 1]``; gives logits
    ``[n, 10]``. Branch and trip count depend on the sum of the efforts of the whole batch,
    so a row's logits depend on the other rows: this model has no batch invariance.
    Efforts are integers on purpose: no rounding, in any precision, can change the path.
    """

    def __init__(self, hidden=64):
        super().__init__()
        self.embed = paddle.nn.Linear(784, hidden)
        self.even = paddle.nn.Linear(hidden, hidden)
        self.odd = paddle.nn.Linear(hidden, hidden)
        self.refine = paddle.nn.Linear(hidden, hidden)
        self.classifier = paddle.nn.Linear(hidden, 10)

    def forward(self, image, effort):
        x = F.relu(self.embed(paddle.flatten(image, start_axis=1)))
        total = paddle.sum(effort)
        if total % 2 == 0:
            x = F.tanh(self.even(x))
        else:
            x = F.sigmoid(self.odd(x))
        steps = total // 2 % 4
        while steps > 0:
            x = x + 0.5 * F.tanh(self.refine(x))
            steps = steps - 1
        return self.classifier(x)


def examples(digits, split):
    images, labels = digits.arrays(split)
    efforts = np.random.default_rng(len(labels)).integers(0, EFFORTS, size=(len(labels), 1))
    return [images, efforts.astype("int64")], labels


MODEL = ReferenceModel(
    name="control_flow",
    summary="A tensor-valued if and a tensor-valued while (0 to 3 rounds)",
    build=AdaptiveRefiner,
    inputs=(
        Input("image", (None, 1, 28, 28)),
        Input("effort", (None, 1), dtype="int64", low=0, high=EFFORTS),
    ),
    training=Training(examples=examples, accuracy=0.88, learning_rate=0.003, epochs=3),
    converted=True,
)
