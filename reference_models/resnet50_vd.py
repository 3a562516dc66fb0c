"""ResNet-vd, the network of document 004 (there ``ResNet50_vd`` of PaddleClas).

The variant D of He et al., "Bag of Tricks for Image Classification" (arXiv 1812.01187):
a stem of three 3x3 convolutions instead of one 7x7, and shortcuts that average before they
project, so that no activation is skipped when a stage halves the image.
"""

import paddle
import paddle.nn.functional as F

from harness.worker.models.model import Input, ReferenceModel, Training


class ConvBN(paddle.nn.Layer):
    """Convolution without bias, BatchNorm: ``[n, c, h, w] -> [n, out, h/s, w/s]``."""

    def __init__(self, in_channels, out_channels, kernel, stride=1):
        super().__init__()
        self.conv = paddle.nn.Conv2D(
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=kernel // 2,
            weight_attr=paddle.ParamAttr(initializer=paddle.nn.initializer.KaimingNormal()),
            bias_attr=False,
        )
        self.norm = paddle.nn.BatchNorm2D(out_channels)

    def forward(self, x):
        return self.norm(self.conv(x))


class Bottleneck(paddle.nn.Layer):
    """1x1, 3x3 and 1x1 convolutions: ``[n, c, h, w] -> [n, 4 * channels, h/s, w/s]``."""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__()
        self.reduce = ConvBN(in_channels, channels, 1)
        self.middle = ConvBN(channels, channels, 3, stride=stride)
        self.expand = ConvBN(channels, 4 * channels, 1)
        shortcut = []
        if stride != 1:
            # ceil_mode as in PaddleClas: an odd size rounds up, like the strided convolution.
            shortcut.append(paddle.nn.AvgPool2D(stride, stride=stride, ceil_mode=True))
        if in_channels != 4 * channels:
            shortcut.append(ConvBN(in_channels, 4 * channels, 1))
        self.shortcut = paddle.nn.Sequential(*shortcut)

    def forward(self, x):
        y = F.relu(self.reduce(x))
        y = F.relu(self.middle(y))
        return F.relu(self.expand(y) + self.shortcut(x))


class ResNetVd(paddle.nn.Layer):
    """``[n, in_channels, h, w] -> [n, num_classes]``.

    ``layers`` are the blocks of each stage, ``width`` the channels of the first stage's
    bottleneck (64 in the paper). Every stage but the first halves the image, after the
    stem has quartered it.
    """

    def __init__(self, layers=(3, 4, 6, 3), width=64, in_channels=3, num_classes=1000):
        super().__init__()
        self.stem = paddle.nn.Sequential(
            ConvBN(in_channels, width // 2, 3, stride=2),
            paddle.nn.ReLU(),
            ConvBN(width // 2, width // 2, 3),
            paddle.nn.ReLU(),
            ConvBN(width // 2, width, 3),
            paddle.nn.ReLU(),
            paddle.nn.MaxPool2D(3, stride=2, padding=1),
        )
        blocks = []
        channels = width
        for stage, depth in enumerate(layers):
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(Bottleneck(channels, width << stage, stride))
                channels = 4 * (width << stage)
        self.blocks = paddle.nn.Sequential(*blocks)
        self.pool = paddle.nn.AdaptiveAvgPool2D(1)
        self.classifier = paddle.nn.Linear(channels, num_classes)

    def forward(self, x):
        x = self.pool(self.blocks(self.stem(x)))
        return self.classifier(paddle.flatten(x, start_axis=1))


def examples(digits, split):
    images, labels = digits.arrays(split)
    return [images], labels


MODELS = (
    ReferenceModel(
        name="resnet_vd_small",
        summary="ResNet-vd with three stages of one narrow bottleneck, on 28x28 digits",
        document="004",
        build=ResNetVd,
        arguments={"layers": (1, 1, 1), "width": 8, "in_channels": 1, "num_classes": 10},
        inputs=(Input("image", (None, 1, 28, 28)),),
        training=Training(
            examples=examples,
            accuracy=0.89,
            optimizer="Momentum",
            learning_rate=0.1,
            optimizer_arguments={"momentum": 0.9},
            batch_size=64,
            epochs=2,
        ),
    ),
    ReferenceModel(
        name="resnet50_vd",
        summary="ResNet50_vd, 224x224 images, 1000 classes",
        document="004",
        build=ResNetVd,
        inputs=(Input("image", (None, 3, 224, 224)),),
        tier="full",
        role="latency",
    ),
)
