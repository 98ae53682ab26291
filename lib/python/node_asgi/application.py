"""Starting and stopping one app: the control plane behind host/application."""
import asyncio
import json
import logging
from typing import Any, Callable, Optional, Tuple

from . import importer, logs
from .lifespan import Lifespan

_POLL_SECONDS = 0.005


async def start(
    target: str, docroot: str, mode: str, fresh: bool, notice: Callable[..., Any], log: Optional[Callable[[str], Any]]
) -> Tuple[Callable[..., Any], Lifespan, Optional[dict]]:
    """Imports the app and runs its lifespan startup. Answers (app, lifespan, state or None).

    `fresh`: the modules of docroot are imported anew, and are what they were when that fails. `log` gets the records
    of logging, as JSON.
    """
    handler = logs.install(log) if log is not None else None
    forgotten = importer.forget(docroot) if fresh else {}
    try:
        app = importer.load(target, docroot)
        for hidden in importer.hidden_modules(docroot):
            notice("warning", hidden)
        lifespan = Lifespan(app, mode, notice)
        lifespan.log_handler = handler
        await lifespan.startup()
    except BaseException:
        if fresh:
            importer.remember(forgotten, docroot)
        raise
    return app, lifespan, lifespan.state if lifespan.supported else None


async def stop(
    lifespan: Lifespan, in_flight: Callable[[], int], tell: Callable[[], None], cancel: Callable[[], None], timeout: float
) -> str:
    """Lets requests end, tells those that do not, cancels the rest, and always runs lifespan shutdown.

    All within `timeout` seconds: half of it for requests to end by themselves, a quarter after they were told
    that their client is gone, the rest for cancellation and lifespan shutdown. Answers a report as JSON.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def drained(until: float) -> bool:
        while in_flight() > 0:
            if loop.time() >= began + until:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True

    waiting = in_flight()
    cancelled = 0
    if not await drained(timeout * 0.5):
        tell()
        if not await drained(timeout * 0.75):
            cancelled = in_flight()
            cancel()
            await drained(timeout * 0.8)
    left = max(timeout - (loop.time() - began), timeout * 0.2)
    outcome = await lifespan.shutdown(left)
    if lifespan.log_handler is not None:
        # Nobody is there any more to write what is logged; without a handler it goes to standard error again.
        logging.getLogger().removeHandler(lifespan.log_handler)
    return json.dumps(
        {
            "drained": max(waiting - cancelled, 0),
            "cancelled": cancelled,
            "timedOut": in_flight() > 0 or outcome == "timeout",
            "lifespan": outcome,
        }
    )


async def stop_process(timeout: float) -> None:
    """What an interpreter does at its end, without ending it: tasks, generators, threads, atexit, stdio.

    Never Py_FinalizeEx(), which hangs on a live non-daemon thread.
    """
    import atexit
    import sys
    import threading

    loop = asyncio.get_running_loop()
    ends = loop.time() + timeout
    current = asyncio.current_task()
    tasks = [task for task in asyncio.all_tasks(loop) if task is not current and task.get_name() != "node-asgi"]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=timeout * 0.3)
    closings = [loop.shutdown_asyncgens()]
    if hasattr(loop, "shutdown_default_executor"):  # not in 3.8
        closings.append(loop.shutdown_default_executor())
    for closing in closings:
        # What takes longer, or raises, is left alone: the process ends all the same.
        await asyncio.wait({asyncio.ensure_future(closing)}, timeout=max(0.01, (ends - loop.time()) * 0.5))
    waiter = threading.Thread(target=_join_threads, args=(threading.current_thread(),), daemon=True)
    waiter.start()
    await asyncio.sleep(0)
    waiter.join(max(0.01, (ends - loop.time()) * 0.5))
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # closed by the app
            pass


def _join_threads(main: Any) -> None:
    """Waits for the app's non-daemon threads, as threading._shutdown() does."""
    import threading

    for thread in threading.enumerate():
        if thread is not main and thread is not threading.current_thread() and not thread.daemon:
            thread.join()
