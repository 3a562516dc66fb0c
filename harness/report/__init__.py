"""One offline HTML file for one run: ``render`` makes the text, ``write_report`` the file.

:mod:`harness.report.summary` holds the arithmetic behind the page (verdict, claims, grid) as
pure functions, for the command line and the gate as well.
"""

from __future__ import annotations

from harness.report.page import render, write_report

__all__ = ["render", "write_report"]
