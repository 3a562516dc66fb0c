"""`quant_aware` with PACT, as PaddleSlim's demo `pact_quant_aware` calls it, on a train program."""
import sys
import numpy as np, paddle
from paddle import nn
from paddleslim.quant.quanter import get_pact_optimizer, pact, quant_aware

paddle.enable_static()
paddle.seed(0)
where, failed = paddle.CPUPlace(), []
for onnx in (True, False):
    for bias in (None, False):
        with paddle.utils.unique_name.guard(), paddle.static.scope_guard(paddle.static.Scope()):
            main, startup = paddle.static.Program(), paddle.static.Program()
            with paddle.static.program_guard(main, startup):
                x, label = paddle.static.data("x", [None, 1, 8, 8]), paddle.static.data("label", [None, 1], "int64")
                hidden = nn.functional.relu(nn.Conv2D(1, 4, 3, padding=1, bias_attr=bias)(x))
                hidden = nn.functional.relu(nn.Conv2D(4, 4, 3, padding=1, bias_attr=bias)(hidden))
                loss = nn.functional.cross_entropy(nn.Linear(256, 10)(nn.Flatten()(hidden)), label)
                paddle.optimizer.Momentum(0.01, 0.9).minimize(loss.mean())
            exe = paddle.static.Executor(where)
            exe.run(startup)
            rng = np.random.default_rng(0)
            feed = {"x": rng.normal(size=(32, 1, 8, 8)).astype("float32"), "label": rng.integers(0, 10, (32, 1))}
            what = f"onnx_format={onnx}, {'convolutions without bias' if bias is False else 'with bias'}"
            try:
                trained = quant_aware(main, where, {"onnx_format": onnx}, act_preprocess_func=pact,
                                      optimizer_func=get_pact_optimizer, executor=exe)
                exe.run(trained, feed=feed)
            except Exception as error:
                lines = [line.strip() for line in str(error).splitlines() if line.strip()]
                failed.append(f"{what}: {type(error).__name__}: {lines[-1][:150]}")
                if "-v" in sys.argv: import traceback; traceback.print_exc()
            else:
                print(what + ": one step works")
print("expected: all four train\nfailed:", *failed, sep="\n  ")
sys.exit(bool(failed))
