"""The smallest network of every family in ``paddle.vision.models`` (LeNet is in lenet.py).

Weights are random: these models are here for their structure (channel shuffles,
dense concatenations, grouped convolutions, hard swishes, three outputs), not for an accuracy.
All take ``[n, 3, size, size]`` images and give 10 classes.
"""

from paddle.nn import initializer
from paddle.vision import models as vision

from harness.worker.models.model import Input, ReferenceModel


class _HeNormal(initializer.KaimingNormal):
    """He's normal for kernels and matrices, ones for the one-dimensional scales of norms."""

    def forward(self, var, block=None):
        if len(var.shape) == 1:
            return initializer.Constant(1.0)(var, block)
        return super().forward(var, block)


def build_zoo(function, **arguments):
    """Build the network of ``paddle.vision.models`` that ``function`` names.

    Paddle's default for a depthwise kernel is too small by the root of its channels:
    untrained MobileNets give outputs of 1e-6, where comparisons see nothing. So the default
    initializers are replaced while it is built (a network's explicit ones stay), and biases are not zero.
    """
    initializer.set_global_initializer(_HeNormal(), initializer.Normal(0.0, 0.1))
    try:
        return getattr(vision, function)(pretrained=False, **arguments)
    finally:
        initializer.set_global_initializer(None)


def _zoo(function, size, summary, outputs=("logits",), **arguments):
    return ReferenceModel(
        name="zoo_" + function,
        summary=summary,
        build=build_zoo,
        inputs=(Input("image", (None, 3, size, size)),),
        outputs=outputs,
        tier="full",
        arguments={"function": function, "num_classes": 10, **arguments},
    )


MODELS = (
    # AlexNet and GoogLeNet have linear layers of a fixed size behind their convolutions:
    # the sizes that fit are 223-226 and 189-204 (192 is the roundest); the rest pool adaptively.
    _zoo("alexnet", 224, "AlexNet: large kernels, large linear layers"),
    _zoo("densenet121", 64, "DenseNet-121: concatenation after every layer"),
    _zoo(
        "googlenet",
        192,
        "GoogLeNet: inception blocks, two auxiliary heads as further outputs",
        outputs=("logits", "auxiliary1", "auxiliary2"),
    ),
    # 75 is the smallest size that leaves one pixel for the last reduction.
    _zoo("inception_v3", 80, "Inception v3: asymmetric kernels"),
    _zoo("mobilenet_v1", 64, "MobileNet v1, width 0.25", scale=0.25),
    _zoo("mobilenet_v2", 64, "MobileNet v2, width 0.25", scale=0.25),
    _zoo(
        "mobilenet_v3_small",
        64,
        "MobileNet v3 small, width 0.35: hard swish, squeeze and excitation",
        scale=0.35,
    ),
    _zoo("resnet18", 64, "ResNet-18: basic blocks"),
    _zoo("resnext50_32x4d", 64, "ResNeXt-50 32x4d: grouped convolutions"),
    _zoo("shufflenet_v2_x0_25", 64, "ShuffleNet v2: channel shuffles"),
    _zoo("squeezenet1_1", 64, "SqueezeNet 1.1: fire blocks, no linear layer"),
    # 32 is the smallest size that five halvings leave a pixel of.
    _zoo("vgg11", 32, "VGG-11: plain convolutions, upsampling adaptive pooling"),
    _zoo("wide_resnet50_2", 64, "Wide ResNet-50-2: wide bottlenecks"),
)
