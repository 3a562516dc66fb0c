"""Fuzzing: networks that Hypothesis composes are run, judged, shrunk and localised.

``strategies.py`` composes, ``judge.py`` decides, ``fuzzer.py`` searches and shrinks, ``localise.py`` finds
operator and pass, ``findings.py`` stores and deduplicates, ``script.py`` writes plain Paddle.
"""
