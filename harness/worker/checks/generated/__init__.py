"""Generated networks: plain data that is written as Paddle source, executed by every engine, and localised.

A network reaches a worker as a dict of plain values::

    {"dynamic": True,                       # axis 0 of every input is a batch of any size
     "inputs": [{"shape": [2, 3], "dtype": "float32", "kind": "normal", "seed": 1}],
     "nodes": [{"op": "linear", "inputs": [0], "attrs": {},
                "params": {"weight": {"shape": [3, 4], "kind": "normal", "seed": 2}, ...}}],
     "outputs": [1]}

Values are numbered: inputs first, then one per node. ``operators.py`` has the Paddle text of each ``op``,
``values.py`` the NumPy text of each ``kind``. So the model that the harness runs and the script that it
hands out are the same lines.
"""
