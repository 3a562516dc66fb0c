"""Description of an exception, in the same words under every build of CPython."""

from __future__ import annotations

import codecs
import dis
import traceback
from types import TracebackType
from typing import Any, Dict, Optional

NOT_UTF8 = "a text that compiled code gave is not UTF-8"
"""Message of such an error; the traceback ends with the text, where it is known."""

FROM_CPP = (RuntimeError, ValueError, LookupError, OSError)
"""Types into which pybind11 and Paddle turn a C++ exception."""


def describe(error: BaseException) -> Dict[str, Any]:
    """Return type, message and traceback of an exception, as an answer of the worker.

    The message of a C++ exception may hold bytes of a damaged file, which are not UTF-8. What
    ``PyErr_SetString`` then raises depends on CPython's patch release: 3.11.7 raises a UnicodeDecodeError,
    3.11.2 the intended exception without a message. Both are described as a UnicodeDecodeError with the
    message :data:`NOT_UTF8`.
    """
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if not _is_not_utf8(error):
        message = str(error).strip() or repr(error)
        return {"raised": type(error).__name__, "message": message, "traceback": trace}
    if isinstance(error, UnicodeDecodeError):
        trace += f"the text: {bytes(error.object)[:2000].decode('utf-8', 'backslashreplace')}\n"
    return {"raised": "UnicodeDecodeError", "message": NOT_UTF8, "traceback": trace}


def _is_not_utf8(error: BaseException) -> bool:
    last = _last(error.__traceback__)
    if last is None or last.tb_frame.f_code.co_filename in (codecs.__file__, "<frozen codecs>"):
        return False  # Python itself read a file
    if isinstance(error, UnicodeDecodeError):
        return True
    code = last.tb_frame.f_code.co_code
    by_python = code[last.tb_lasti] in (dis.opmap["RAISE_VARARGS"], dis.opmap["RERAISE"])
    return isinstance(error, FROM_CPP) and not error.args and not by_python


def _last(found: Optional[TracebackType]) -> Optional[TracebackType]:
    while found is not None and found.tb_next is not None:
        found = found.tb_next
    return found
