"""Document 004 without PaddleClas: training, compressing and exporting a classifier by a configuration file.

PaddleClas's package holds neither its engine nor its tools, so the document's three commands are
`python -m harness.worker.classification train`, `export` and `quantize`. The configuration has the
sections of the document's own files: ``Global``, ``Arch``, ``Slim``, ``Optimizer``, ``DataLoader``.
"""
