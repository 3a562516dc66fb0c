"""Two inputs of different types and shapes, three outputs of different types and shapes."""

import numpy as np
import paddle
import paddle.nn.functional as F

from harness.worker.models.model import Input, ReferenceModel, Training

LEVELS = 8


class TwoInputs(paddle.nn.Layer):
    """The upper half of a digit as pixels, the lower half as tokens.

    ``upper`` float32 ``[n, 1, 14, 28]`` goes through convolutions, ``lower`` int64
    ``[n, 49]`` (a grey level for each cell of 2x4 pixels) through an embedding. Gives logits
    ``[n, 10]``, the embedding they come from ``[n, 32]`` and int64 labels ``[n]``.
    """

    def __init__(self):
        super().__init__()
        self.conv1 = paddle.nn.Conv2D(1, 8, 3, stride=2, padding=1)
        self.conv2 = paddle.nn.Conv2D(8, 16, 3, stride=2, padding=1)
        self.upper = paddle.nn.Linear(16 * 4 * 7, 32)
        self.level = paddle.nn.Embedding(LEVELS, 4)
        self.lower = paddle.nn.Linear(49 * 4, 32)
        self.joint = paddle.nn.Linear(64, 32)
        self.classifier = paddle.nn.Linear(32, 10)

    def forward(self, upper, lower):
        x = F.relu(self.conv2(F.relu(self.conv1(upper))))
        x = F.relu(self.upper(paddle.flatten(x, start_axis=1)))
        y = F.relu(self.lower(paddle.flatten(self.level(lower), start_axis=1)))
        embedding = F.tanh(self.joint(paddle.concat([x, y], axis=1)))
        logits = self.classifier(embedding)
        return logits, embedding, paddle.argmax(logits, axis=1)


def examples(digits, split):
    images, labels = digits.arrays(split)
    cells = images[:, 0, 14:].reshape(-1, 7, 2, 7, 4).mean(axis=(2, 4)).reshape(-1, 49)
    levels = np.minimum(cells * LEVELS, LEVELS - 1).astype("int64")
    return [images[:, :, :14], levels], labels


MODEL = ReferenceModel(
    name="two_inputs",
    summary="A float and an int input, three outputs, one of them int",
    build=TwoInputs,
    inputs=(
        Input("upper", (None, 1, 14, 28)),
        Input("lower", (None, 49), dtype="int64", low=0, high=LEVELS),
    ),
    outputs=("logits", "embedding", "label"),
    training=Training(examples=examples, accuracy=0.90, learning_rate=0.003, epochs=3),
)
