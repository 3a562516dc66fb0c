"""What a check holds: a case and its comparisons, tolerance, non-inferiority, roofline, expected failures.

Pure but for reading ``known_failures.toml``. The checks themselves are in ``suites/``.
"""
