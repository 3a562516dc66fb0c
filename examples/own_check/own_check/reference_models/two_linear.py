"""Two linear layers: the smallest network that has something to compute."""

import paddle

from harness.worker.models.model import Input, ReferenceModel


def build():
    return paddle.nn.Sequential(paddle.nn.Linear(6, 16), paddle.nn.ReLU(), paddle.nn.Linear(16, 4))


MODEL = ReferenceModel(
    name="two_linear",
    summary="Two linear layers on six numbers",
    document="own",
    build=build,
    inputs=(Input("x", (None, 6), low=-1.0),),
)
