"""A recurrent classifier that reads a digit row by row."""

import paddle

from harness.worker.models.model import Input, ReferenceModel, Training


class RowLSTM(paddle.nn.Layer):
    """An LSTM over 28 rows of 28 pixels, its last state classified: ``[n, 28, 28] -> [n, 10]``."""

    def __init__(self, hidden=64):
        super().__init__()
        self.lstm = paddle.nn.LSTM(28, hidden)
        self.classifier = paddle.nn.Linear(hidden, 10)

    def forward(self, rows):
        outputs, _ = self.lstm(rows)
        return self.classifier(outputs[:, -1])


def examples(digits, split):
    images, labels = digits.arrays(split)
    return [images[:, 0]], labels


MODEL = ReferenceModel(
    name="lstm",
    summary="LSTM over the 28 rows of a digit",
    build=RowLSTM,
    inputs=(Input("rows", (None, 28, 28)),),
    training=Training(examples=examples, accuracy=0.85, learning_rate=0.01, epochs=3),
)
