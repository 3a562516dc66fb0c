"""Training by several processes, each with a share of every batch; `paddle.distributed.launch` starts it.

``python -m paddle.distributed.launch … harness/worker/training/data_parallel/__main__.py CONFIG.json``
"""
