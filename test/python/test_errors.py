"""errors.describe() and disconnect.is_about_disconnect(): what exceptions look like from JavaScript."""
import asyncio
import json
from typing import Any

import pytest

from node_asgi.disconnect import ClientDisconnected, is_about_disconnect
from node_asgi.errors import describe
from node_asgi.importer import TargetError


class OwnError(Exception):
    pass


class Group(Exception):
    def __init__(self, *exceptions: BaseException) -> None:
        super().__init__("group")
        self.exceptions = exceptions


def raised(action: Any) -> BaseException:
    try:
        action()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def fail() -> None:
    raise OwnError("it failed")


def fail_from() -> None:
    try:
        fail()
    except OwnError as error:
        raise ValueError("outer") from error


def fail_within() -> None:
    try:
        fail()
    except OwnError:
        raise ValueError("outer")


def fail_from_none() -> None:
    try:
        fail()
    except OwnError:
        raise ValueError("outer") from None


def test_type_message_traceback_and_frames() -> None:
    kind, message, text, details = describe(raised(fail))
    assert (kind, message) == (f"{__name__}.OwnError", "it failed")
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("OwnError: it failed\n")
    frames = json.loads(details)["frames"]
    assert [frame["function"] for frame in frames] == ["raised", "fail"]
    assert all(frame["file"] == __file__ and frame["line"] > 0 for frame in frames)
    assert describe(KeyError("k"))[:2] == ("KeyError", "'k'")


@pytest.mark.parametrize("action", [fail_from, fail_within])
def test_cause(action: Any) -> None:
    details = json.loads(describe(raised(action))[3])
    assert details["cause"]["type"] == f"{__name__}.OwnError"
    assert details["cause"]["frames"][-1]["function"] == "fail"


def test_a_suppressed_context_is_no_cause() -> None:
    assert "cause" not in json.loads(describe(raised(fail_from_none))[3])


def test_members_of_a_group() -> None:
    details = json.loads(describe(Group(OwnError("one"), ValueError("two")))[3])
    assert [member["message"] for member in details["errors"]] == ["one", "two"]


def test_the_code_of_the_librarys_own_error_alone() -> None:
    class Coded(Exception):
        code = "ERR_OF_THE_APP"

    assert json.loads(describe(TargetError("ERR_ASGI_TARGET", "text"))[3])["code"] == "ERR_ASGI_TARGET"
    assert "code" not in json.loads(describe(Coded())[3])
    assert "code" not in json.loads(describe(SystemExit(3))[3])


def test_never_raises() -> None:
    class Hostile(Exception):
        def __str__(self) -> str:
            raise SystemExit(1)

        __repr__ = __str__

    kind, message, text, details = describe(Hostile())
    assert "Hostile" in kind
    assert message == "<its __str__ raised SystemExit>"
    assert "Hostile" in text
    for part in describe(ValueError("lone \ud800")):
        part.encode("utf-8")

    chain: BaseException = ValueError("last")
    for number in range(50):
        error = ValueError(str(number))
        error.__cause__ = chain
        chain = error
    json.loads(describe(chain)[3])
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    json.loads(describe(first)[3])


def test_deep_tracebacks_are_cut() -> None:
    def deep(levels: int) -> None:
        deep(levels - 1) if levels else fail()

    assert len(json.loads(describe(raised(lambda: deep(300)))[3])["frames"]) == 100


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        (ClientDisconnected("left"), True),
        (asyncio.CancelledError(), True),
        (caused(RuntimeError("x"), ClientDisconnected("left")), True),
        (Group(ClientDisconnected("left"), caused(OSError(), ClientDisconnected("left"))), True),
        (Group(ClientDisconnected("left"), ValueError("its own")), False),
        (OSError("a file"), False),
        (ValueError("x"), False),
        (caused(RuntimeError("x"), ValueError("y")), False),
        (Group(), False),
    ],
)
def test_is_about_disconnect(exception: BaseException, expected: bool) -> None:
    assert is_about_disconnect(exception) is expected


def test_is_about_disconnect_ends_on_a_cycle() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert is_about_disconnect(first) is False
    assert issubclass(ClientDisconnected, OSError)
