"""The methods of documents 000, 002 and 003, call by call, with the names and settings they use."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle.jit import to_static
from paddle.metric import Accuracy
from paddle.static import InputSpec
from paddle.vision.transforms import ToTensor

from harness.worker.models import networks
from harness.worker.models.digits import Digits
from harness.worker.recipes import Job, recipe


@recipe("document_000", needs_code=True)
def document_000(job: Job) -> Dict[str, Any]:
    """Document 000: two epochs of Adam over the digits, `paddle.save`, load, `to_static`, `jit.save`."""
    data = Digits(job.digits)
    loader = paddle.io.DataLoader(data.dataset("train", ToTensor()), batch_size=64, shuffle=True)
    model = networks.network(job.model)
    optim = paddle.optimizer.Adam(learning_rate=0.001, parameters=model.parameters())
    model.train()
    losses: List[float] = []
    train_accuracy: List[float] = []
    for _ in range(2):
        right = []
        for images, labels in loader():
            predictions = model(images)
            loss = F.cross_entropy(predictions, labels)
            right.append(float(paddle.metric.accuracy(predictions, labels)))
            loss.backward()
            losses.append(float(loss))
            optim.step()
            optim.clear_grad()
        train_accuracy.append(float(np.mean(right)))
    params, state = job.path("lenet.pdparams"), job.path("lenet.pdopt")
    paddle.save(model.state_dict(), params)
    paddle.save(optim.state_dict(), state)
    model.set_state_dict(paddle.load(params))
    optim.set_state_dict(paddle.load(state))
    model.eval()
    images, labels = data.arrays("test")
    logits = model(paddle.to_tensor(images)).numpy()
    model.train()  # the mode in which the document leaves it
    net = to_static(model, input_spec=[InputSpec(shape=[None, 1, 28, 28], name="x")])
    paddle.jit.save(net, job.path("inference_model", "lenet"))
    return {
        "losses": losses,
        "train_accuracy": train_accuracy,
        "test_accuracy": float((logits.argmax(axis=1) == labels).mean()),
        "files": job.files,
    }


class Watch(paddle.callbacks.Callback):
    """Keeps the loss of every training batch."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: List[float] = []

    def on_train_batch_end(self, step: int, logs: Any = None) -> None:
        self.losses.append(float(np.asarray(logs["loss"]).reshape(-1)[0]))


def high_level(job_model: Any) -> Tuple[Any, Any]:
    """Return a `paddle.Model` of the network with named input and label, and its Adam(0.001)."""
    inputs = networks.input_specs(job_model)
    labels = [InputSpec([None, 1], "int64", "label")]
    model = paddle.Model(networks.network(job_model), inputs, labels)
    return model, paddle.optimizer.Adam(learning_rate=0.001, parameters=model.parameters())


@recipe("document_003", needs_code=True)
def document_003(job: Job) -> Dict[str, Any]:
    """Document 003: `Model.prepare`, `fit` with `save_dir`, `evaluate`, `predict`, `save` both ways."""
    data = Digits(job.digits)
    train, test = data.dataset("train", ToTensor()), data.dataset("test", ToTensor())
    model, optim = high_level(job.model)
    model.prepare(optim, paddle.nn.CrossEntropyLoss(), Accuracy())
    losses = Watch()
    evaluations: List[float] = []

    class Evaluate(paddle.callbacks.Callback):
        def on_eval_end(self, logs: Any = None) -> None:
            evaluations.append(float(np.asarray(logs["acc"]).reshape(-1)[0]))

    model.fit(
        train,
        test,
        epochs=3,
        batch_size=64,
        save_dir=job.path("mnist_checkpoint"),
        verbose=0,
        callbacks=[losses, Evaluate()],
    )
    evaluated = model.evaluate(test, batch_size=64, verbose=0)
    predicted = model.predict(test, batch_size=250, stack_outputs=True, verbose=0)[0]
    model.save(job.path("mnist_checkpoint", "test"))
    model.save(job.path("inference", "lenet"), training=False)
    labels = data.arrays("test")[1]
    return {
        "losses": losses.losses,
        "evaluations": evaluations,
        "accuracy": float(np.asarray(evaluated["acc"]).reshape(-1)[0]),
        "predicted_accuracy": float((np.asarray(predicted).argmax(axis=1) == labels).mean()),
        "files": job.files,
    }
