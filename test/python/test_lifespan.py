"""Lifespan: the protocol of one app, without an interpreter that is embedded."""
import asyncio
from typing import Any, Callable, List, Tuple

import pytest

from node_asgi.lifespan import Lifespan, LifespanError


def run(body: Callable[[], Any]) -> Any:
    return asyncio.run(asyncio.wait_for(body(), 10))


async def started(app: Any, mode: str = "auto", notice: Any = None) -> Lifespan:
    lifespan = Lifespan(app, mode, notice)
    await lifespan.startup()
    return lifespan


async def good(scope: Any, receive: Any, send: Any) -> None:
    assert await receive() == {"type": "lifespan.startup"}
    scope["state"]["made"] = 1
    await send({"type": "lifespan.startup.complete"})
    assert await receive() == {"type": "lifespan.shutdown"}
    scope["state"]["closed"] = True
    await send({"type": "lifespan.shutdown.complete"})


def test_startup_state_and_shutdown() -> None:
    async def body() -> None:
        lifespan = await started(good)
        assert (lifespan.supported, lifespan.state) == (True, {"made": 1})
        assert await lifespan.shutdown(1) == "complete"
        assert lifespan.state["closed"]

    run(body)


def test_the_scope() -> None:
    scopes: List[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(dict(scope))

    async def body() -> None:
        await started(app)

    run(body)
    assert scopes == [{"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}]


def test_off_never_calls_the_app() -> None:
    async def body() -> None:
        lifespan = await started(None, "off")
        assert not lifespan.supported
        assert await lifespan.shutdown(1) == "unsupported"

    run(body)


async def raises_first(scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError("http alone")


async def returns(scope: Any, receive: Any, send: Any) -> None:
    await receive()


def not_async(scope: Any, receive: Any, send: Any) -> Any:
    raise TypeError("raised by the call")


@pytest.mark.parametrize("app", [raises_first, returns, not_async])
def test_no_support_is_a_failure_only_in_mode_on(app: Any) -> None:
    async def body() -> None:
        lifespan = await started(app)
        assert not lifespan.supported
        assert await lifespan.shutdown(1) == "unsupported"
        with pytest.raises(LifespanError):
            await started(app, "on")

    run(body)


@pytest.mark.parametrize("error", [ConnectionError("no database"), SystemExit(3), KeyboardInterrupt()])
def test_an_exception_after_receive_is_a_failure_with_its_cause(error: BaseException) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise error

    async def body() -> None:
        with pytest.raises(LifespanError, match=type(error).__name__) as raised:
            await started(app)
        assert raised.value.__cause__ is error

    run(body)


@pytest.mark.parametrize("message", [{}, {"message": "no database"}])
def test_startup_failed(message: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", **message})

    async def body() -> None:
        with pytest.raises(LifespanError, match="lifespan.startup.failed: " + message.get("message", "$")):
            await started(app)

    run(body)


def ending(how: Callable[[Any], Any]) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await how(send)

    return app


async def say_failed(send: Any) -> None:
    await send({"type": "lifespan.shutdown.failed", "message": "could not save"})


async def fail(send: Any) -> None:
    raise OSError("disk full")


async def hang(send: Any) -> None:
    await asyncio.Event().wait()


async def stay_silent(send: Any) -> None:
    pass


ENDINGS: List[Tuple[Any, str]] = [
    (say_failed, "failed: could not save"),
    (fail, "failed: the app raised OSError during lifespan shutdown: disk full"),
    (hang, "timeout"),
    (stay_silent, "complete"),
]


@pytest.mark.parametrize(("how", "outcome"), ENDINGS)
def test_shutdown_tells_how_it_went(how: Any, outcome: str) -> None:
    async def body() -> None:
        lifespan = await started(ending(how))
        assert await lifespan.shutdown(0.1) == outcome

    run(body)


def test_wrong_messages_raise_in_the_app_and_change_nothing() -> None:
    wrong: List[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def refused(kind: str) -> None:
            with pytest.raises(RuntimeError):
                await send({"type": kind})
            wrong.append(kind)

        await receive()
        await refused("lifespan.shutdown.complete")
        await refused("http.response.start")
        await send({"type": "lifespan.startup.complete"})
        await refused("lifespan.startup.complete")
        await refused("lifespan.startup.failed")
        await receive()
        await refused("lifespan.startup.complete")
        await send({"type": "lifespan.shutdown.complete"})

    async def body() -> None:
        lifespan = await started(app)
        assert await lifespan.shutdown(1) == "complete"

    run(body)
    assert len(wrong) == 5


def test_a_death_while_serving_is_told(capsys: Any) -> None:
    told: List[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise RuntimeError("died")

    async def body() -> None:
        lifespan = await started(app, notice=lambda level, error: told.append((level, str(error))))
        await asyncio.sleep(0.01)
        assert await lifespan.shutdown(1) == "failed: the app raised RuntimeError during lifespan shutdown: died"

    run(body)
    assert told == [("error", "died")]
    assert "RuntimeError: died" in capsys.readouterr().err
