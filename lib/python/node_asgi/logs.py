"""Hands the records of logging to Node (option `logger`)."""
import json
import logging
from typing import Any, Callable

#: What every record has; the rest is what the caller has given as `extra`.
_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}


def install(send: Callable[[str], Any]) -> "NodeHandler":
    """Adds a handler to the root logger, whose level stays. send(json) may be called on any thread."""
    root = logging.getLogger()
    # One is enough for a process: a second handler, or a reload, takes the place of the one before.
    for handler in list(root.handlers):
        if isinstance(handler, NodeHandler):
            root.removeHandler(handler)
    added = NodeHandler(send)
    root.addHandler(added)
    return added


class NodeHandler(logging.Handler):
    """Sends each record as JSON: level, name, message, time in milliseconds, extra, exception."""

    def __init__(self, send: Callable[[str], Any]) -> None:
        super().__init__()
        self._send = send
        self._exceptions = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            told = {
                "level": record.levelno,
                "name": record.name,
                "message": record.getMessage(),
                "time": int(record.created * 1000),
                "extra": {key: value for key, value in vars(record).items() if key not in _STANDARD},
            }
            if record.exc_info:
                told["exception"] = self._exceptions.formatException(record.exc_info)
            self._send(json.dumps(told, default=repr, skipkeys=True))
        except Exception:
            self.handleError(record)
