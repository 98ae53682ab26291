"""The one asyncio loop of the Python thread."""
import asyncio
import concurrent.futures
import importlib
import sys
import threading
import traceback
from asyncio import CancelledError, Task
from types import CoroutineType
from typing import Any, Callable, Coroutine, Dict, Optional

#: Keyword arguments for the Task of a request; `loop` is added by run().
TASK_KEYWORDS: Dict[str, Any] = {}

_loop: Optional[asyncio.AbstractEventLoop] = None

__all__ = ["Task", "TASK_KEYWORDS", "run", "submit", "new_loop", "wake_soon", "CoroutineType", "CancelledError"]


def new_loop(name: str) -> asyncio.AbstractEventLoop:
    """Makes the loop that the option `loop` names.

    'auto' takes uvloop when it can be imported. Raises ValueError for a name that is no loop.
    """
    if name in ("auto", "uvloop"):
        try:
            import uvloop

            return uvloop.new_event_loop()
        except ImportError:
            if name == "uvloop":
                raise
    if name in ("auto", "asyncio"):
        return asyncio.new_event_loop()
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(f"option loop: expected 'auto', 'asyncio', 'uvloop' or 'module:factory', got {name!r}")
    loop = getattr(importlib.import_module(module), attribute)()
    if not isinstance(loop, asyncio.AbstractEventLoop):
        raise ValueError(f"option loop: {name} returned {type(loop).__name__}, expected an asyncio event loop")
    return loop


def run(
    fd: int,
    drain: Callable[[], None],
    started: Callable[[asyncio.AbstractEventLoop], None],
    notice: Callable[[str, BaseException], None],
    name: str,
) -> None:
    """Runs the loop for as long as the process lives.

    The loop runs under run_until_complete(): without that root task anyio starts and ends a thread for every
    sync endpoint. SystemExit and KeyboardInterrupt from a stray task, and loop.stop() from an app, end
    run_until_complete() but not the loop: it is entered again.
    """
    global _loop
    loop = new_loop(name)
    _loop = loop
    asyncio.set_event_loop(loop)
    TASK_KEYWORDS["loop"] = loop
    if sys.version_info >= (3, 12):
        TASK_KEYWORDS["eager_start"] = True
    loop.set_exception_handler(_make_exception_handler(notice))
    _hear_of_lost_exceptions(notice)

    async def main() -> None:
        loop.add_reader(fd, drain)
        started(loop)
        await loop.create_future()

    root = loop.create_task(main(), name="node-asgi")
    while not root.done():
        try:
            loop.run_until_complete(root)
        except (SystemExit, KeyboardInterrupt) as stray:
            if root.done():
                raise
            notice("error", stray)
        except RuntimeError as stopped:
            if root.done():
                raise
            notice("warning", stopped)
    root.result()


def _make_exception_handler(
    notice: Callable[[str, BaseException], None]
) -> Callable[[asyncio.AbstractEventLoop, Dict[str, Any]], None]:
    def handle(loop: asyncio.AbstractEventLoop, context: Dict[str, Any]) -> None:
        loop.default_exception_handler(context)
        exception = context.get("exception")
        notice("error", exception or RuntimeError(context.get("message", "unknown error in the event loop")))

    return handle


def _hear_of_lost_exceptions(notice: Callable[[str, BaseException], None]) -> None:
    """What ends a thread, or is raised where nobody can catch it, goes to Node instead of standard error."""

    def of_thread(args: "threading.ExceptHookArgs") -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            notice("error", args.exc_value)

    def unraisable(args: "sys.UnraisableHookArgs") -> None:
        if args.exc_value is not None:
            notice("error", args.exc_value)

    threading.excepthook = of_thread
    sys.unraisablehook = unraisable


def submit(coroutine: Coroutine[Any, Any, Any], done: Callable[[Any, Optional[BaseException]], None]) -> None:
    """Runs a control-plane coroutine on the loop and calls done(result, exception) once, on the loop's thread."""
    assert _loop is not None
    future = asyncio.run_coroutine_threadsafe(_guard(coroutine), _loop)

    def finished(ended: "concurrent.futures.Future[Any]") -> None:
        try:
            result, error = ended.result()
        except BaseException as raised:  # cancelled
            result, error = None, raised
        try:
            done(result, error)
        except BaseException:
            traceback.print_exc()

    future.add_done_callback(finished)


def wake_soon(future: "asyncio.Future[None]") -> None:
    """Wakes the future's waiter in the loop's next turn, so that `while True: await receive()` cannot starve it."""
    assert _loop is not None
    _loop.call_soon(_wake, future)


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


async def _guard(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Keeps SystemExit and KeyboardInterrupt away from the loop, which they would end."""
    try:
        return await coroutine, None
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        return None, error
