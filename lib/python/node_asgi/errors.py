"""Describes exceptions for the JavaScript side as plain text and JSON."""
import json
import traceback
from types import TracebackType
from typing import Any, Dict, List, Optional, Tuple

_MAX_FRAMES = 100
_MAX_DEPTH = 8


def describe(exception: BaseException) -> Tuple[str, str, str, str]:
    """Answers (type, message, traceback text, details as JSON). Never raises."""
    kind = _type_name(exception)
    message = _message(exception)
    try:
        text = "".join(traceback.format_exception(type(exception), exception, exception.__traceback__))
    except BaseException as broken:  # a __str__, __repr__ or __cause__ of the app's own
        text = f"{kind}: {message} (the traceback could not be made: {type(broken).__name__})"
    try:
        described = _details(exception, 0)
        code = getattr(exception, "code", None)
        if kind == "node_asgi.importer.TargetError" and isinstance(code, str):
            described["code"] = code
        details = json.dumps(described)
    except BaseException:
        details = "{}"
    return _clean(kind), _clean(message), _clean(text), details


def to_json(value: Any) -> str:
    """JSON of a value; what JSON cannot say is written as its repr()."""
    return json.dumps(value, default=repr)


def _clean(text: str) -> str:
    """Without lone surrogates, which have no UTF-8 form."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _type_name(exception: BaseException) -> str:
    kind = type(exception)
    module = getattr(kind, "__module__", None)
    name = getattr(kind, "__qualname__", kind.__name__)
    return name if module in ("builtins", "__main__", None) else f"{module}.{name}"


def _message(exception: BaseException) -> str:
    try:
        return str(exception)
    except BaseException as broken:
        return f"<its __str__ raised {type(broken).__name__}>"


def _frames(trace: Optional[TracebackType]) -> List[Dict[str, Any]]:
    frames: List[Dict[str, Any]] = []
    while trace is not None and len(frames) < _MAX_FRAMES:
        code = trace.tb_frame.f_code
        frames.append({"file": code.co_filename, "line": trace.tb_lineno, "function": code.co_name})
        trace = trace.tb_next
    return frames


def _details(exception: BaseException, depth: int) -> Dict[str, Any]:
    details: Dict[str, Any] = {
        "type": _type_name(exception),
        "message": _message(exception),
        "frames": _frames(exception.__traceback__),
    }
    if depth >= _MAX_DEPTH:
        return details
    cause = exception.__cause__
    if cause is None and not exception.__suppress_context__:
        cause = exception.__context__
    if cause is not None:
        details["cause"] = _details(cause, depth + 1)
    inner = getattr(exception, "exceptions", None)  # ExceptionGroup, also its backport
    if isinstance(inner, (tuple, list)):
        details["errors"] = [_details(e, depth + 1) for e in inner if isinstance(e, BaseException)]
    return details
