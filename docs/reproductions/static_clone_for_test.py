"""Document 001's `train_program.clone(for_test=True)`."""
import sys
import paddle

paddle.enable_static()
main = paddle.static.Program()
with paddle.static.program_guard(main):
    x, y = paddle.static.data("x", [None, 8]), paddle.static.data("y", [None, 1], "int64")
    loss = paddle.mean(paddle.nn.functional.cross_entropy(paddle.nn.Linear(8, 4)(x), y))
    paddle.optimizer.Momentum(0.01, 0.9).minimize(loss)
try:
    print("expected: a program for evaluation\ngot:", type(main.clone(for_test=True)).__name__)
except TypeError as error:
    print("expected: a program for evaluation\ngot: TypeError:", str(error).splitlines()[0])
    sys.exit(1)
