"""The training script of a job, started by its path: ``__main__.py CONFIG.json``."""

import json
import os
import sys


def main() -> None:
    """Train as the configuration says and leave this rank's results in its ``out``."""
    # Python puts the script's folder first; `harness` has to be found from the checkout's folder.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(here))))
    from harness.worker.training.data_parallel import training

    with open(sys.argv[1]) as file:
        training.one_rank(json.load(file))


if __name__ == "__main__":
    main()
