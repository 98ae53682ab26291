"""The ASGI lifespan protocol of one app (asgiref lifespan.rst 2.0)."""
import asyncio
import logging
import sys
import traceback
from typing import Any, Callable, Dict, Optional


class LifespanError(Exception):
    """Start-up failed: the app said so, or raised with lifespan='on'."""


class Lifespan:
    """Runs one app's lifespan. Everything on the loop's thread.

    `mode` is 'auto', 'on' or 'off'. In 'auto', an app that raises before any receive() has ended, or that
    returns without an answer, does not support lifespan and is served without it (L-05, L-07).
    """

    def __init__(self, app: Callable[..., Any], mode: str, notice: Optional[Callable[..., Any]] = None) -> None:
        self.state: Dict[str, Any] = {}
        self.supported = False
        self.log_handler: Optional[logging.Handler] = None  # of the option `logger`; goes with the app
        self._app = app
        self._mode = mode
        self._notice = notice
        self._task: Optional["asyncio.Task[None]"] = None
        self._events: "asyncio.Queue[Dict[str, Any]]" = asyncio.Queue()
        self._received = False
        self._phase = "new"  # new, starting, started, stopping, stopped, failed
        self._error: Optional[BaseException] = None
        self._failed_message: Optional[str] = None
        self._answered = asyncio.Event()

    async def startup(self) -> None:
        """Ends once the app may be served. Raises LifespanError, with the app's exception as its cause."""
        if self._mode == "off":
            return
        self._phase = "starting"
        self._events.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.ensure_future(self._run())
        await self._answered.wait()
        if self._phase == "started":
            self.supported = True
            return
        if self._failed_message is not None:
            raise LifespanError(f"the app reported lifespan.startup.failed: {self._failed_message}") from self._error
        if self._mode == "on" or (self._error is not None and self._received):
            raise LifespanError(_describe("during lifespan startup", self._error)) from self._error

    async def shutdown(self, timeout: float) -> str:
        """Tells the app to shut down and waits at most `timeout` seconds. Answers how it went:
        'complete', 'unsupported', 'timeout', or 'failed: …'."""
        task = self._task
        if not self.supported or task is None:
            return "unsupported"
        if not task.done():
            self._phase = "stopping"
            self._answered.clear()
            self._events.put_nowait({"type": "lifespan.shutdown"})
            try:
                await asyncio.wait_for(self._answered.wait(), timeout)
                await asyncio.wait({task}, timeout=timeout)
            except asyncio.TimeoutError:
                task.cancel()
                return "timeout"
        if self._failed_message is not None:
            return f"failed: {self._failed_message}"
        if self._error is not None:
            return "failed: " + _describe("during lifespan shutdown", self._error)
        return "complete"

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except asyncio.CancelledError as error:
            self._error = error
        except BaseException as error:  # SystemExit and KeyboardInterrupt must not end the loop
            self._error = error
        finally:
            self._ended()

    def _ended(self) -> None:
        if self._phase == "starting":
            self._phase = "failed"
        elif self._phase == "started" and self._error is not None:
            # The lifespan task died while the app is being served.
            print("lifespan ended with an exception:", file=sys.stderr)
            traceback.print_exception(type(self._error), self._error, self._error.__traceback__)
            if self._notice is not None:
                self._notice("error", self._error)
        self._answered.set()

    async def _receive(self) -> Dict[str, Any]:
        event = await self._events.get()
        self._received = True
        return event

    async def _send(self, message: Dict[str, Any]) -> None:
        kind = message["type"]
        allowed = {"starting": "lifespan.startup.", "stopping": "lifespan.shutdown."}.get(self._phase)
        if kind not in _MESSAGES:
            raise RuntimeError(f"expected one of {', '.join(_MESSAGES)}, got {kind!r}")
        if allowed is None or not kind.startswith(allowed):
            raise RuntimeError(f"unexpected {kind!r}: lifespan is {self._phase}")
        if kind.endswith(".failed"):
            self._failed_message = str(message.get("message", ""))
            self._phase = "failed"
        else:
            self._phase = "started" if self._phase == "starting" else "stopped"
        self._answered.set()


_MESSAGES = (
    "lifespan.startup.complete",
    "lifespan.startup.failed",
    "lifespan.shutdown.complete",
    "lifespan.shutdown.failed",
)


def _describe(when: str, error: Optional[BaseException]) -> str:
    if error is None:
        return f"the app returned {when} without an answer"
    return f"the app raised {type(error).__name__} {when}: {error}"
