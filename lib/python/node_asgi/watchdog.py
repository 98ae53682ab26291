"""Tells what threads are doing, from a thread of its own that sleeps until it is asked."""
import select
import sys
import threading
import traceback
from types import FrameType
from typing import Any, Callable, Iterator, Optional, Tuple

_loop_thread = 0
_PACKAGE = __name__.rpartition(".")[0]


def start(fd: int, answer: Callable[[], Any]) -> None:
    """Calls answer() whenever fd becomes readable. The calling thread is the loop's."""
    global _loop_thread
    _loop_thread = threading.get_ident()
    threading.Thread(target=_serve, args=(fd, answer), name="node-asgi-watchdog", daemon=True).start()


def _serve(fd: int, answer: Callable[[], Any]) -> None:
    # Not select(), which takes no descriptor above 1023: a server may have as many before Python starts.
    readable = select.poll()
    readable.register(fd, select.POLLIN)
    while True:
        readable.poll()
        answer()


def stacks() -> str:
    """The stack of every thread, the loop's first, without this one."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    names[_loop_thread] = "event loop"
    frames = sys._current_frames()
    frames.pop(threading.get_ident(), None)
    parts = []
    for ident in sorted(frames, key=lambda ident: (ident != _loop_thread, ident)):
        parts.append(f"Thread {names.get(ident, '?')!r}:\n{''.join(traceback.format_stack(frames[ident]))}")
    return "\n".join(parts)


def blocked() -> Optional[Tuple[str, str]]:
    """(request, stack) of what runs on the loop's thread; None when it is idle, or in code of ours alone."""
    frame = sys._current_frames().get(_loop_thread)
    theirs = [one for one in _outward(frame) if not one.f_globals.get("__name__", "").startswith(_LOOP_MODULES)]
    if frame is None or not theirs:
        return None
    return _request(frame), "".join(traceback.format_stack(frame))


_LOOP_MODULES = (_PACKAGE, "asyncio", "uvloop", "selectors", "threading")


def _outward(frame: Optional[FrameType]) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _request(frame: FrameType) -> str:
    """Whose scope a function on the stack has, if any: its method and path."""
    for one in _outward(frame):
        scope = one.f_locals.get("scope")
        if type(scope) is dict and scope.get("type") in ("http", "websocket"):
            return f"{scope.get('method', 'WebSocket')} {scope.get('path')}"
    return ""
