"""Bias correction of a convolution's weight gives each channel the correction of others."""
import sys
import numpy as np
from paddle.static.quantization import utils

rng = np.random.default_rng(0)
weight = (rng.normal(size=(8, 16, 3, 3)) + np.linspace(-1, 1, 8)[:, None, None, None]).astype("float32")
weight *= 10.0 ** np.linspace(-2, 1, 8).astype("float32")[:, None, None, None]  # channels of different size
scales = [float(np.abs(channel).max()) for channel in weight]
bits = 4  # coarse, so that there is something to correct


def error(quantized):  # of each channel's mean, in quantization steps
    steps = np.array(scales) / (2 ** (bits - 1) - 1)
    return np.abs((quantized * steps[:, None, None, None]).mean((1, 2, 3)) - weight.mean((1, 2, 3))) / steps


rounded = np.round(utils.quant_tensor(weight.copy(), scales, 0, bits))
corrected = utils.bias_correction_w(weight, rounded.copy(), scales, 0, weight_bits=bits)
print("error of the channels' means in steps, rounded:", np.round(error(rounded), 3))
print("expected: smaller with bias correction\ngot:", np.round(error(corrected), 3))
sys.exit(bool(error(corrected).max() > error(rounded).max()))
