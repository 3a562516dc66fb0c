"""A Transformer encoder over token sequences of any length up to 64."""

import numpy as np
import paddle

from harness.worker.models.model import Input, ReferenceModel, Training

VOCABULARY = 32
CLASSES = 4


class TokenEncoder(paddle.nn.Layer):
    """Embeddings, two encoder layers, mean over the sequence: int64 ``[n, t] -> [n, 4]``."""

    def __init__(self, width=32, heads=4, layers=2, max_length=64):
        super().__init__()
        self.token = paddle.nn.Embedding(VOCABULARY, width)
        self.position = paddle.nn.Embedding(max_length, width)
        layer = paddle.nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.1, activation="gelu")
        self.encoder = paddle.nn.TransformerEncoder(layer, layers)
        self.norm = paddle.nn.LayerNorm(width)
        self.classifier = paddle.nn.Linear(width, CLASSES)

    def forward(self, tokens):
        # 0, 1, 2, ... for every row without asking for the length, which is unknown
        # (-1) when a static program is built.
        positions = paddle.cumsum(paddle.ones_like(tokens), axis=1) - 1
        x = self.token(tokens) + self.position(positions)
        x = self.norm(self.encoder(x))
        return self.classifier(paddle.mean(x, axis=1))


def examples(_digits, split):
    """Which of four classes of tokens (token modulo 4) occurs most often among 16.

    4,000 training and 1,000 test rows; a token takes the row's class with
    probability 0.35 and any value otherwise; rows whose maximum is tied are left out.
    """
    count, seed = {"train": (4000, 1), "test": (1000, 2)}[split]
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, VOCABULARY, size=(2 * count, 16))
    drawn = rng.integers(0, CLASSES, size=(2 * count, 1))
    biased = rng.random(tokens.shape) < 0.35
    tokens = np.where(biased, tokens - tokens % CLASSES + drawn, tokens)
    counts = np.stack([(tokens % CLASSES == c).sum(axis=1) for c in range(CLASSES)], axis=1)
    ranked = np.sort(counts, axis=1)
    clear = np.flatnonzero(ranked[:, -1] > ranked[:, -2])[:count]
    return [tokens[clear].astype("int64")], counts[clear].argmax(axis=1).astype("int64")


MODEL = ReferenceModel(
    name="transformer",
    summary="Transformer encoder on token sequences of any length",
    build=TokenEncoder,
    inputs=(Input("tokens", (None, None), dtype="int64", low=0, high=VOCABULARY),),
    training=Training(examples=examples, accuracy=0.96, learning_rate=0.003, epochs=1),
)
