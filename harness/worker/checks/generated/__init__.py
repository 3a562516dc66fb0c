"""Generated networks: plain data written out as Paddle source, executed everywhere, localised.

A network crosses to a worker as a dict of plain values::

    {"dynamic": True,                       # axis 0 of every input is a batch of any size
     "inputs": [{"shape": [2, 3], "dtype": "float32", "kind": "normal", "seed": 1}],
     "nodes": [{"op": "linear", "inputs": [0], "attrs": {},
                "params": {"weight": {"shape": [3, 4], "kind": "normal", "seed": 2}, ...}}],
     "outputs": [1]}

Values are numbered: inputs first, then one per node. ``operators.py`` has what each ``op`` is in Paddle,
``values.py`` what each ``kind`` draws; both as Python text, so that the model the harness runs and the
script it hands out are the same lines.
"""
