"""A small convolutional network: plain Paddle, nothing of the harness."""

import paddle
from paddle import nn

input_spec = [paddle.static.InputSpec([None, 3, 16, 16], "float32", name="image")]


class Net(nn.Layer):
    """Two convolutions and a linear layer: ``[n, 3, 16, 16] -> [n, 5]``."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2D(3, 8, 3, padding=1),
            nn.BatchNorm2D(8),
            nn.ReLU(),
            nn.MaxPool2D(2),
            nn.Conv2D(8, 16, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2D(1),
        )
        self.head = nn.Linear(16, 5)

    def forward(self, image):
        return self.head(paddle.flatten(self.features(image), 1))


def build():
    return Net()
