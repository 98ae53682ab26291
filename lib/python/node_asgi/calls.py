"""Calls of ordinary Python functions from JavaScript: an ASGI app of the library's own, behind `PythonHandler.call()`.

The request body is one frame with [target, arguments]; the answer is one frame with the result, or a frame for each
item of a generator. A frame is: length of the whole after these 4 bytes, length of the JSON (both big-endian), the
JSON, the bytes values one after another. In the JSON `{"$bytes": [offset, length]}` stands for a bytes value; keys of
the user's own that begin with `$` have one more. lib/calls.js is the other end.
"""
import asyncio
import contextvars
import functools
import inspect
import json
import struct
from typing import Any, AsyncIterator, Callable, List, Tuple

from . import importer

_HEAD = struct.Struct(">II")
_END = object()


async def app(scope: dict, receive: Any, send: Any) -> None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return
        body += message["body"]
        if not message["more_body"]:
            break
    target, arguments = decode(bytes(body))
    work = asyncio.ensure_future(_answer(target, arguments, send))
    left = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait({work, left}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            # The caller has given up.
            work.cancel()
            await asyncio.wait({work})
        await work
    finally:
        left.cancel()
        work.cancel()


async def _left(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(target: str, arguments: List[Any], send: Any) -> None:
    result = await _call(importer.find(target), arguments)
    kind = "stream" if inspect.isasyncgen(result) or inspect.isgenerator(result) else "value"
    start = {"type": "http.response.start", "status": 200, "headers": [(b"kind", kind.encode())]}
    if kind == "value":
        body = encode(result)  # before the start: what cannot be passed is raised to the caller
        await send(start)
        await send({"type": "http.response.body", "body": body})
        return
    await send(start)
    items = result if inspect.isasyncgen(result) else _in_threads(result)
    try:
        async for item in items:
            await send({"type": "http.response.body", "body": encode(item), "more_body": True})
    finally:
        await items.aclose()
    await send({"type": "http.response.body"})


async def _call(function: Callable[..., Any], arguments: List[Any]) -> Any:
    """Coroutine functions run on the loop, all others in the thread pool."""
    called = function if inspect.isroutine(function) or inspect.isclass(function) else getattr(function, "__call__", function)
    while isinstance(called, functools.partial):
        called = called.func
    if inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called):
        result = function(*arguments)
    else:
        result = await _in_thread(function, *arguments)
    return await result if inspect.isawaitable(result) else result


async def _in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    call = functools.partial(contextvars.copy_context().run, function, *arguments)
    return await asyncio.get_running_loop().run_in_executor(None, call)


async def _in_threads(generator: Any) -> AsyncIterator[Any]:
    """The items of an ordinary generator, each made in the thread pool."""
    try:
        while True:
            item = await _in_thread(next, generator, _END)
            if item is _END:
                return
            yield item
    finally:
        await _in_thread(generator.close)


def encode(value: Any) -> bytes:
    """Makes a frame. Raises TypeError or ValueError for what has no form in JavaScript."""
    blobs: List[bytes] = []
    text = json.dumps(_plain(value, blobs, "result"), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate has no UTF-8 form, and none in JavaScript's strings that survives the way.
    data = text.encode("utf-8", "replace")
    rest = b"".join(blobs)
    return _HEAD.pack(4 + len(data) + len(rest), len(data)) + data + rest


def _plain(value: Any, blobs: List[bytes], where: str) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        taken = sum(map(len, blobs))
        blobs.append(bytes(value))
        return {"$bytes": [taken, len(blobs[-1])]}
    if isinstance(value, dict):
        plain = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"call(): {where} has a key of type {type(key).__name__}, expected str")
            plain["$" + key if key.startswith("$") else key] = _plain(item, blobs, f"{where}[{key!r}]")
        return plain
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, blobs, f"{where}[{index}]") for index, item in enumerate(value)]
    raise TypeError(
        f"call(): {where} is of type {type(value).__name__}, expected None, bool, int, float, str, bytes, list, tuple, "
        "set or dict"
    )


def decode(frame: bytes) -> Tuple[str, List[Any]]:
    _, size = _HEAD.unpack_from(frame)
    rest = memoryview(frame)[8 + size :]

    def revive(item: dict) -> Any:
        if "$bytes" in item:
            offset, length = item["$bytes"]
            return bytes(rest[offset : offset + length])
        return {key[1:] if key.startswith("$") else key: value for key, value in item.items()}

    return json.loads(frame[8 : 8 + size].decode("utf-8"), object_hook=revive)
