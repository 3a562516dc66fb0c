"""`harness compare`: runs of different machines, targets or engines on one page."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import takes_options
from harness.cli.output import command, say
from harness.core.errors import UsageError
from harness.core.files import made_folder, write_json
from harness.core.options import Options
from harness.core.paths import project_root, reports
from harness.gate import comparison
from harness.gate import comparison_page as page
from harness.records.files import Run
from harness.records.finding import open_run
from harness.report.layout import write_page
from harness.targets import target


@takes_options
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN…", help="Runs, or a folder of runs, by path or by name in reports/."),
    ],
    reference: Annotated[
        str,
        typer.Option(
            metavar="[RUN:]TARGET", help="Reference for ratios (default: the first that was timed)."
        ),
    ] = "",
    options: Options = Options(),
) -> None:
    """Several runs, targets or machines side by side: right or wrong first, then how fast."""
    root = project_root()
    found = [run for name in runs for run in _runs(name, root)]
    names = [run.folder.name for run in found]
    if len(set(names)) < len(names):
        raise UsageError("two of the runs have the same folder name: a column could be of either")
    known = target.load(map(Path, options.targets_file))
    result = comparison.compare(found, known, options.targets, reference)
    where = Path(options.folder or reports(root) / "comparisons" / time.strftime("%Y%m%d-%H%M%S"))
    write_json(made_folder(where, "the folder") / "comparison.json", result, "the comparison")
    text = page.render(result, command())
    path = write_page(text, where / "comparison.html")
    timed = sum(cell is not None for row in result.rows for cell in row.cells)
    counts = f"{len(result.columns)} targets, {len(result.conformance)} models, {timed} latencies"
    say(f"{counts}; page: {path}")


def _runs(name: str, root: Path) -> list[Run]:
    """Return the run of that name, or all runs in a folder of runs, such as one for each target."""
    for folder in (Path(name), reports(root) / name):
        below = sorted(path.parent for path in folder.glob("*/records.jsonl"))
        if below and not (folder / "records.jsonl").exists():
            return [open_run(str(path), root) for path in below if path.name != "latest"]
    return [open_run(name, root)]
