"""The document's tools: ``python -m harness.worker.classification train -c FILE -o KEY=VALUE``.

Bad input ends with one sentence on stderr and exit status 2.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import Any, List, Optional

from harness.worker.classification import config as configuration
from harness.worker.classification.sections import ConfigError

COMMANDS = {
    "train": "train, quantization-aware or pruned where the configuration has a Slim section",
    "export": "write the inference model of Global.pretrained_model into Global.save_inference_dir",
    "quantize": "quantize the inference model of Global.save_inference_dir after training",
    "show": "print the configuration as it was understood; needs no Paddle",
}


def main(arguments: Optional[List[str]] = None) -> int:
    """Run one command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m harness.worker.classification")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        command.add_argument("-c", "--config", required=True, metavar="FILE", help="the configuration")
        command.add_argument(
            "-o",
            "--override",
            action="append",
            default=[],
            metavar="Section.key=VALUE",
            help="a setting over the file's, its value in YAML; may be repeated",
        )
    given = parser.parse_args(arguments)
    try:
        config = configuration.load(given.config, given.override)
        if given.command == "show":
            _show(dataclasses.asdict(config))
            return 0
        # Imported here: an error in the configuration is reported without the seconds that Paddle takes.
        from harness.worker.classification import engine

        getattr(engine, given.command)(config, _say)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


def _show(values: Any, indent: str = "") -> None:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            print(f"{indent}{key}:")
            _show(value, indent + "  ")
        else:
            print(f"{indent}{key}: {value}")


if __name__ == "__main__":
    sys.exit(main())
