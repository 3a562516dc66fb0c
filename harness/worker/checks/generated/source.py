"""A generated network as Python source: the model that is run, and the body of the script.

Exporting needs a `forward` whose source is in a file, so the source text defines the model.
"""

from __future__ import annotations

import string
from typing import Any, Dict, List, Mapping

from harness.worker.checks.generated import operators
from harness.worker.checks.generated.values import expression

HEAD = """import numpy as np
import paddle
import paddle.nn.functional as F
"""

_PARAMETER = '''

def parameter(layer, value):
    """A parameter with these values."""
    made = layer.create_parameter(list(value.shape), dtype="{floating}")
    made.set_value(value.astype("float32").astype("{floating}"))
    return made
'''

_FILL = '''

def filled(layer, seed):
    """The layer with all its parameters drawn from the seed."""
    rng = np.random.default_rng(seed)
    for made in layer.parameters():
        made.set_value(rng.uniform(-0.5, 0.5, made.shape).astype("float32").astype("{floating}"))
    return layer
'''


class _Text(string.Formatter):
    """Attributes as Python literals, inputs and parameters as the names they are."""

    def format_field(self, value: Any, spec: str) -> str:
        if spec == "raw" or isinstance(value, _Name):
            return str(value)
        return repr(value)


class _Name(str):
    """A name: it is formatted without quotes."""


def names(network: Mapping[str, Any]) -> List[str]:
    """Return the names of all values: inputs ``x0``…, nodes by their position."""
    inputs = len(network["inputs"])
    return [f"x{i}" for i in range(inputs)] + [f"v{inputs + i}" for i in range(len(network["nodes"]))]


def has_constants(network: Mapping[str, Any]) -> bool:
    """Whether the network computes something from its parameters alone."""
    return any(spec.get("through") for node in network["nodes"] for spec in node.get("params", {}).values())


def write(
    network: Mapping[str, Any], floating: str = "float32", watched: bool = False, folded: bool = False
) -> str:
    """Return the module text with ``class Network``.

    ``floating``: the type in place of float32; ``"float64"`` gives the oracle. ``watched``: every value
    passes through ``self.see(number, value)``, which can read and change it. ``folded``: what is computed
    from a parameter alone (its ``through``) is computed in `__init__`.
    """
    named = names(network)
    first = len(network["inputs"])
    made: List[str] = []
    lines: List[str] = []
    for number, node in enumerate(network["nodes"], first):
        text = _expression(node, number, named, floating, made, folded)
        lines.append(f"{named[number]} = " + (f"self.see({number}, {text})" if watched else text))
    body = [*lines, "return " + ", ".join(named[index] for index in network["outputs"])]
    head = HEAD
    if any("parameter(" in line for line in made):
        head += _PARAMETER.format(floating=floating)
    if any("filled(" in line for line in made):
        head += _FILL.format(floating=floating)
    parts = [head, "", "class Network(paddle.nn.Layer):"]
    if made:
        parts += [
            "    def __init__(self):",
            "        super().__init__()",
            *("        " + line for line in made),
            "",
        ]
    parts += [f"    def forward(self, {', '.join(named[:first])}):", *("        " + line for line in body)]
    return "\n".join(parts) + "\n"


def _expression(
    node: Mapping[str, Any], number: int, named: List[str], floating: str, made: List[str], folded: bool
) -> str:
    """Return the node's Python expression; the lines it needs in `__init__` are added to ``made``."""
    fields: Dict[str, Any] = {
        name: floating if value == "float32" else value for name, value in node.get("attrs", {}).items()
    }
    for name, spec in node.get("params", {}).items():
        member, value = f"self.{name}{number}", expression(spec)
        if folded and spec.get("through"):
            value = _through(spec, f'paddle.to_tensor(({value}).astype("float32"))') + ".numpy()"
        made.append(f"{member} = parameter(self, {value})")
        fields[name] = _Name(member if folded else _through(spec, member))
    if node["op"] in operators.LAYERS:
        member = f"self.layer{number}"
        constructor = _Text().format(operators.LAYERS[node["op"]], **fields)
        made.append(f"{member} = filled({constructor}, {fields['seed']})")
        fields["layer"] = _Name(member)
    if node["op"] in operators.INDEXED:
        fields["index"] = _Name(f"paddle.to_tensor({fields['index']!r})")
    inputs = [_Name(named[index]) for index in node["inputs"]]
    return _Text().format(operators.TEMPLATES[node["op"]], *inputs, **fields)


def _through(spec: Mapping[str, Any], text: str) -> str:
    """Return the expression that the network computes from a parameter alone before it uses it."""
    shape = list(spec["shape"])
    for name in spec.get("through", ()):
        text = operators.OF_CONSTANTS[name].format(text, shape=shape, length=shape[0])
    return text
