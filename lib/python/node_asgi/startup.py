"""What a fresh interpreter needs before the first app is imported."""
import io
import select
import sys
from typing import Any, Optional


def prepare() -> None:
    """Called once, before asyncio or ssl are imported. Raises nothing that an app could cause."""
    sys.stdout = sys.__stdout__ = _patient(sys.stdout)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _patient(sys.stderr)  # type: ignore[misc]
    _prefer_forkserver()


class PatientFile(io.FileIO):
    """Waits where its descriptor would block.

    Node makes pipes and sockets of its own standard streams non-blocking, and they are Python's too: a full one would
    raise BlockingIOError in print(), or lose text without a word.
    """

    def write(self, data: Any) -> int:
        while True:
            written = super().write(data)
            if written is not None:
                return written
            select.select([], [self], [])


def _patient(stream: Any) -> Any:
    """The same stream, line by line: Python would keep whole blocks off a terminal, and lines come long after Node's."""
    descriptor = _descriptor(stream)
    if descriptor is None:
        return stream
    stream.flush()
    raw = PatientFile(descriptor, "w", closefd=False)
    raw.name = stream.name
    unbuffered = stream.write_through  # python -u, PYTHONUNBUFFERED
    text = io.TextIOWrapper(
        raw if unbuffered else io.BufferedWriter(raw),  # type: ignore[arg-type]
        stream.encoding, stream.errors, line_buffering=True, write_through=unbuffered,
    )
    text.mode = "w"  # type: ignore[misc]
    return text


def _descriptor(stream: Any) -> Optional[int]:
    """None for a stream that is closed, or replaced by something else."""
    try:
        return stream.fileno()
    except (AttributeError, OSError, ValueError):
        return None


def _prefer_forkserver() -> None:
    """Makes multiprocessing start workers afresh: fork would copy all of Node with its listening sockets.

    `multiprocessing.set_start_method()` still lets an app choose.
    """
    import multiprocessing.context as context

    method = "forkserver" if "forkserver" in context._concrete_contexts else "spawn"  # type: ignore[attr-defined]
    context._default_context._default_context = context._concrete_contexts[method]  # type: ignore[attr-defined]
