"""Quantization types that PaddleSlim's reference of `paddleslim.QAT` and its own checks accept."""
import sys
import zlib  # noqa: F401  before Paddle 2.6.2, which brings its own

import paddle
from paddleslim import QAT

bad = 0
print("Paddle", paddle.__version__)
for option, value in (
    ("activation_quantize_type", "abs_max"),
    ("activation_quantize_type", "range_abs_max"),
    ("weight_quantize_type", "moving_average_abs_max"),
    ("weight_quantize_type", "range_abs_max"),
):
    try:
        QAT(config={option: value})
        print(option, value, "expected: works, got: works")
    except Exception as error:
        bad += 1
        print(option, value, "expected: works, got:", type(error).__name__, str(error).splitlines()[0])
sys.exit(bad > 0)
