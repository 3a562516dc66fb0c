"""One run on disk: ``records.jsonl`` written and read, a run and a case found by name, the sources' hash.

What many runs say together is in :mod:`harness.history`.
"""
