"""LeNet as documents 000, 002 and 003 define it."""

import paddle
import paddle.nn.functional as F

from harness.worker.models.model import Input, ReferenceModel, Training


class LeNet(paddle.nn.Layer):
    """Two convolutions, two poolings, three linear layers: ``[n, 1, 28, 28] -> [n, 10]``."""

    def __init__(self):
        super().__init__()
        self.conv1 = paddle.nn.Conv2D(in_channels=1, out_channels=6, kernel_size=5, stride=1, padding=2)
        self.max_pool1 = paddle.nn.MaxPool2D(kernel_size=2, stride=2)
        self.conv2 = paddle.nn.Conv2D(in_channels=6, out_channels=16, kernel_size=5, stride=1)
        self.max_pool2 = paddle.nn.MaxPool2D(kernel_size=2, stride=2)
        self.linear1 = paddle.nn.Linear(in_features=16 * 5 * 5, out_features=120)
        self.linear2 = paddle.nn.Linear(in_features=120, out_features=84)
        self.linear3 = paddle.nn.Linear(in_features=84, out_features=10)

    def forward(self, x):
        x = self.max_pool1(F.relu(self.conv1(x)))
        x = self.max_pool2(self.conv2(F.relu(x)))
        x = paddle.flatten(x, start_axis=1, stop_axis=-1)
        x = F.relu(self.linear1(x))
        x = F.relu(self.linear2(x))
        return self.linear3(x)


def examples(digits, split):
    images, labels = digits.arrays(split)
    return [images], labels


MODEL = ReferenceModel(
    name="lenet",
    summary="LeNet of the documents, on 28x28 digits",
    document="000 002 003",
    build=LeNet,
    inputs=(Input("x", (None, 1, 28, 28)),),
    training=Training(examples=examples, accuracy=0.90),
)
