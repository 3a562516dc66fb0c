"""Four convolutions with BatchNorm, and a Dropout: the two layers that change in eval mode."""

import paddle
import paddle.nn.functional as F

from harness.worker.models.model import Input, ReferenceModel, Training


class ConvBN(paddle.nn.Layer):
    """Four times convolution, BatchNorm, ReLU: ``[n, 1, 28, 28] -> [n, 10]``."""

    def __init__(self, dropout=0.3):
        super().__init__()
        self.conv1 = paddle.nn.Conv2D(1, 16, 3, stride=2, padding=1)
        self.norm1 = paddle.nn.BatchNorm2D(16)
        self.conv2 = paddle.nn.Conv2D(16, 32, 3, padding=1)
        self.norm2 = paddle.nn.BatchNorm2D(32)
        self.conv3 = paddle.nn.Conv2D(32, 32, 3, stride=2, padding=1)
        self.norm3 = paddle.nn.BatchNorm2D(32)
        # Without a bias, the way most networks write it: exporters fold both forms.
        self.conv4 = paddle.nn.Conv2D(32, 64, 3, stride=2, padding=1, bias_attr=False)
        self.norm4 = paddle.nn.BatchNorm2D(64)
        self.dropout = paddle.nn.Dropout(dropout)
        self.classifier = paddle.nn.Linear(64 * 4 * 4, 10)

    def forward(self, x):
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.relu(self.norm2(self.conv2(x)))
        x = F.relu(self.norm3(self.conv3(x)))
        x = F.relu(self.norm4(self.conv4(x)))
        return self.classifier(self.dropout(paddle.flatten(x, start_axis=1)))


def examples(digits, split):
    images, labels = digits.arrays(split)
    return [images], labels


MODEL = ReferenceModel(
    name="conv_bn",
    summary="Four convolutions with BatchNorm and a Dropout, trained with Momentum",
    build=ConvBN,
    inputs=(Input("image", (None, 1, 28, 28)),),
    training=Training(
        examples=examples,
        accuracy=0.91,
        optimizer="Momentum",
        learning_rate=0.1,
        optimizer_arguments={"momentum": 0.9},
        epochs=1,
    ),
)
