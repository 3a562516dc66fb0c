"""Document 001's imports, in its order: Paddle 2.6.2 brings a zlib of its own, in which matplotlib then reads."""
import paddle
import paddleslim as slim

print("expected: both imports work; got: Paddle", paddle.__version__, "and", slim.__name__)
