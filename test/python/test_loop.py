"""The loop of the Python thread, run here in a thread of this interpreter."""
import asyncio
import os
import threading
from typing import Any, Callable, Iterator, List, Optional, Tuple

import pytest

from node_asgi import loop as loop_module

TIMEOUT = 5


class Running:
    """run() in a thread of its own, with the pipe that wakes it."""

    def __init__(self, name: str = "asyncio") -> None:
        self.reader, self.writer = os.pipe()
        self.notices: List[Tuple[str, BaseException]] = []
        self.drained = threading.Event()
        self.started = threading.Event()
        self.loop: Optional[asyncio.AbstractEventLoop] = None
        self.thread = threading.Thread(target=self._run, args=(name,), daemon=True)
        self.thread.start()
        assert self.started.wait(TIMEOUT)

    def _run(self, name: str) -> None:
        try:
            loop_module.run(self.reader, self._drain, self._start, lambda *notice: self.notices.append(notice), name)
        except asyncio.CancelledError:  # how the tests end it
            pass

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.started.set()

    def _drain(self) -> None:
        os.read(self.reader, 64)
        self.drained.set()

    def soon(self, action: Callable[[], Any]) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(action)

    def wakes(self) -> bool:
        self.drained.clear()
        os.write(self.writer, b"x")
        return self.drained.wait(TIMEOUT)

    def submit(self, coroutine: Any) -> Tuple[Any, Optional[BaseException]]:
        ended = threading.Event()
        outcome: List[Any] = []

        def done(result: Any, error: Optional[BaseException]) -> None:
            outcome.extend([result, error, threading.current_thread()])
            ended.set()

        self.soon(lambda: loop_module.submit(coroutine, done))  # as the library does, from the loop's thread
        assert ended.wait(TIMEOUT)
        assert outcome[2] is self.thread
        return outcome[0], outcome[1]

    def end(self) -> None:
        def cancel() -> None:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()

        self.soon(cancel)
        self.thread.join(TIMEOUT)
        assert not self.thread.is_alive()
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture()
def running() -> Iterator[Running]:
    one = Running()
    yield one
    one.end()


def test_wakes_for_the_descriptor(running: Running) -> None:
    assert running.wakes()
    assert running.wakes()


async def value() -> int:
    await asyncio.sleep(0)
    return 42


async def failing(error: BaseException) -> None:
    raise error


def test_submit_tells_the_result_on_the_loops_thread(running: Running) -> None:
    assert running.submit(value()) == (42, None)


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt()])
def test_submit_tells_an_exception_and_the_loop_goes_on(running: Running, error: BaseException) -> None:
    assert running.submit(failing(error)) == (None, error)
    assert running.submit(value()) == (42, None)
    assert running.notices == []


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_stray_exit_is_told_and_does_not_end_the_loop(running: Running, kind: Any) -> None:
    strays: List[Any] = []
    running.soon(lambda: strays.append(asyncio.ensure_future(failing(kind()))))
    assert running.submit(value()) == (42, None)
    assert isinstance(strays[0].exception(), kind)
    assert running.wakes()
    assert [(level, type(error)) for level, error in running.notices][:1] == [("error", kind)]


def test_stop_is_told_and_does_not_end_the_loop(running: Running) -> None:
    assert running.loop is not None
    running.soon(running.loop.stop)
    assert running.submit(value()) == (42, None)
    assert running.wakes()
    assert running.notices[0][0] == "warning"


def test_an_exception_in_a_callback_is_told(running: Running, capsys: Any) -> None:
    def fail() -> None:
        raise RuntimeError("in a callback")

    running.soon(fail)
    assert running.submit(value()) == (42, None)
    assert [(level, str(error)) for level, error in running.notices] == [("error", "in a callback")]


def test_wake_soon_wakes_in_a_later_turn(running: Running) -> None:
    async def body() -> str:
        future = asyncio.get_running_loop().create_future()
        loop_module.wake_soon(future)
        assert not future.done()
        await future
        cancelled = asyncio.get_running_loop().create_future()
        loop_module.wake_soon(cancelled)
        cancelled.cancel()
        await asyncio.sleep(0)
        return "woken"

    assert running.submit(body()) == ("woken", None)


def made_here() -> Any:
    return asyncio.new_event_loop()


def no_loop() -> int:
    return 7


def test_new_loop() -> None:
    for name in ("asyncio", "auto", f"{__name__}:made_here"):
        loop = loop_module.new_loop(name)
        assert isinstance(loop, asyncio.AbstractEventLoop)
        loop.close()
    with pytest.raises(ValueError, match="expected 'auto', 'asyncio', 'uvloop' or 'module:factory', got 'trio'"):
        loop_module.new_loop("trio")
    with pytest.raises(ValueError, match="no_loop returned int, expected an asyncio event loop"):
        loop_module.new_loop(f"{__name__}:no_loop")
