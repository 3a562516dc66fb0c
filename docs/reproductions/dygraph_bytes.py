"""The files of one network saved by two processes of the same script: are they the same bytes?"""
import hashlib
import os
import subprocess
import sys
import tempfile
import zlib  # noqa: F401  before Paddle 2.6.2, which brings its own

import paddle

SPEC = [paddle.static.InputSpec([None, 1, 10, 10], "float32", "x")]


def network():
    paddle.seed(0)
    return paddle.nn.Sequential(paddle.nn.Conv2D(1, 4, 3), paddle.nn.Flatten(), paddle.nn.Linear(4 * 64, 10))


def save(folder):
    from paddleslim import QAT

    plain = network()
    plain.eval()
    paddle.jit.save(plain, os.path.join(folder, "plain"), input_spec=SPEC)
    for name, onnx_format in (("qat-fake-ops", False), ("qat", True)):
        net = network()
        quanter = QAT(config={"onnx_format": onnx_format})
        quanter.quantize(net)
        net(paddle.ones([8, 1, 10, 10]))
        net.eval()
        quanter.save_quantized_model(net, os.path.join(folder, name), input_spec=SPEC)


if len(sys.argv) > 1:
    save(sys.argv[1])
    sys.exit()
sums = []
for seed in ("1", "2", "3"):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, __file__, folder], check=True, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True)
        sums.append({n: hashlib.sha256(open(os.path.join(folder, n), "rb").read()).hexdigest() for n in sorted(os.listdir(folder))})
different = [name for name in sums[0] if len({s[name] for s in sums}) > 1]
print("Paddle", paddle.__version__, "expected: the same bytes; files that differ among three processes:", different, "of", list(sums[0]))
sys.exit(bool(different))
