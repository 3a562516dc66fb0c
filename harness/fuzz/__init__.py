"""The hunt: networks that nobody wrote a test for, composed by Hypothesis, judged, shrunk, localised.

``strategies.py`` composes, ``judge.py`` decides, ``fuzzer.py`` searches and shrinks, ``localise.py`` names
operator and pass, ``findings.py`` keeps and folds, ``script.py`` writes plain Paddle.
"""
