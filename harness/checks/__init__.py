"""What checks use: a case and its comparisons, tolerance, non-inferiority, roofline, expected failures.

Pure, except for reading ``known_failures.toml``. The checks themselves are in ``suites/``.
"""
