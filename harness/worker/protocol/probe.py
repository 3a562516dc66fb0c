"""Probe of an interpreter; it is run as text, with packages and modules to look for as arguments.

It runs in any Python 3, so that an interpreter too old for the harness can report its version. That is
why it imports nothing of the harness and uses no f-strings.
"""

import json
import os
import sys
import time


def look(packages, modules):  # type: ignore[no-untyped-def]
    """Return versions of the packages, presence of the modules, and whether Paddle imports."""
    found = {
        "version": list(sys.version_info[:3]),
        "executable": sys.executable,
        "no_bytecode": bool(sys.dont_write_bytecode),
        "packages": {},
        "modules": {},
    }
    try:
        from importlib import metadata, util
    except ImportError:
        return found
    installed = {dist.metadata["Name"].lower(): dist.version for dist in metadata.distributions()}
    found["packages"] = {name: installed[name] for name in packages if name in installed}
    found["modules"] = {name: util.find_spec(name) is not None for name in modules}
    spec = util.find_spec("paddle")
    if spec is None:
        return found
    folder = os.path.dirname(spec.origin or "")
    found["bytecode"] = os.path.isdir(os.path.join(folder, "__pycache__"))
    started = time.time()
    try:
        import paddle

        found["paddle"] = str(paddle.__version__)
        found["cuda"] = bool(paddle.is_compiled_with_cuda())
        found["gpus"] = paddle.device.cuda.device_count() if found["cuda"] else 0
    except BaseException as error:
        found["paddle_error"] = "{}: {}".format(type(error).__name__, error)  # noqa: UP032
    found["import_s"] = time.time() - started
    return found


if __name__ == "__main__":
    answer = look(sys.argv[1].split(","), sys.argv[2].split(","))
    # On a separate line: Paddle may print anything.
    print("\nPROBE" + json.dumps(answer))
