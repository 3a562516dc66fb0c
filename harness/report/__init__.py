"""One offline HTML file for one run: ``render`` makes the text, ``write_report`` the file.

:mod:`harness.report.summary` computes the page's verdict, claims and grid in pure functions, which the
command line and the gate use too.
"""

from __future__ import annotations

from harness.report.page import render, write_report

__all__ = ["render", "write_report"]
