"""MobileNetV1, the network of document 001 (there ``paddleslim.models.MobileNet``).

Structure as in Howard et al., "MobileNets" (arXiv 1704.04861), table 1: a convolution,
thirteen depthwise separable blocks, average pooling and one linear layer. ``scale`` is the
width multiplier, ``repeats`` the number of equal blocks in the middle (5 in the paper).
"""

import paddle
import paddle.nn.functional as F

from harness.worker.models.model import Input, ReferenceModel, Training

# (channels, stride) of the blocks at scale 1: first, repeated, last.
FIRST = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2))
REPEATED = ((512, 1),)
LAST = ((1024, 2), (1024, 1))


class ConvBN(paddle.nn.Layer):
    """Convolution without bias, BatchNorm, ReLU: ``[n, c, h, w] -> [n, out, h/s, w/s]``."""

    def __init__(self, in_channels, out_channels, kernel, stride=1, groups=1):
        super().__init__()
        self.conv = paddle.nn.Conv2D(
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=kernel // 2,
            groups=groups,
            # Paddle's default ignores the groups, so depthwise kernels start too small by the
            # root of the channels; He's initializer counts the true fan-in.
            weight_attr=paddle.ParamAttr(initializer=paddle.nn.initializer.KaimingNormal()),
            bias_attr=False,
        )
        self.norm = paddle.nn.BatchNorm2D(out_channels)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)))


class MobileNetV1(paddle.nn.Layer):
    """``[n, in_channels, h, w] -> [n, num_classes]``; h and w are halved five times."""

    def __init__(self, scale=1.0, repeats=5, in_channels=1, num_classes=10):
        super().__init__()
        channels = int(32 * scale)
        layers = [ConvBN(in_channels, channels, 3, stride=2)]
        for width, stride in FIRST + REPEATED * repeats + LAST:
            width = int(width * scale)
            layers.append(ConvBN(channels, channels, 3, stride=stride, groups=channels))
            layers.append(ConvBN(channels, width, 1))
            channels = width
        self.features = paddle.nn.Sequential(*layers)
        self.pool = paddle.nn.AdaptiveAvgPool2D(1)
        self.classifier = paddle.nn.Linear(channels, num_classes)

    def forward(self, x):
        x = self.pool(self.features(x))
        return self.classifier(paddle.flatten(x, start_axis=1))


def examples(digits, split):
    images, labels = digits.arrays(split)
    return [images], labels


MODELS = (
    # Depthwise convolutions train slowly on CPU (backward 2-3 times the forward, per channel):
    # at scale 0.25 with all blocks an epoch of 4,000 digits takes 26 s and reaches 0.45.
    # Hence an eighth of the width, one middle block, and many small steps.
    ReferenceModel(
        name="mobilenet_v1_x0_125",
        summary="MobileNetV1 at an eighth of its width, one middle block, on 28x28 digits",
        document="001",
        build=MobileNetV1,
        arguments={"scale": 0.125, "repeats": 1},
        inputs=(Input("image", (None, 1, 28, 28)),),
        training=Training(
            examples=examples,
            accuracy=0.70,
            optimizer="Momentum",
            learning_rate=0.02,
            optimizer_arguments={"momentum": 0.9},
            batch_size=16,
            epochs=1,
        ),
    ),
    ReferenceModel(
        name="mobilenet_v1",
        summary="MobileNetV1 at full width, 224x224 images, 1000 classes",
        document="001",
        build=MobileNetV1,
        arguments={"in_channels": 3, "num_classes": 1000},
        inputs=(Input("image", (None, 3, 224, 224)),),
        tier="full",
        role="latency",
    ),
)
