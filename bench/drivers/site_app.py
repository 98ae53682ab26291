"""The app of the HTTP scenarios, the same for every server. bench/servers/bare-http.js answers the same from Node."""
import asyncio

HELLO = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
JSON = b'{"items": [' + b", ".join(b'{"id": %d, "name": "item %d"}' % (i, i) for i in range(30)) + b"]}"
MANY = [(b"content-type", b"text/plain"), (b"content-length", b"2"), *[(b"x-field-%d" % i, b"value of field %d" % i) for i in range(8)]]
MEGABYTE = bytes(1 << 20)
CHUNK = bytes(1 << 16)


async def answer(send, headers, body):
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def app(scope, receive, send):
    path = scope["path"]
    if path == "/":
        await answer(send, HELLO, b"Hello, world!")
    elif path == "/json":
        await answer(send, [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(JSON))], JSON)
    elif path == "/headers":
        await answer(send, MANY, b"ok")
    elif path == "/megabyte":
        await answer(send, [(b"content-length", b"1048576")], MEGABYTE)
    elif path == "/echo":
        headers = [pair for pair in scope["headers"] if pair[0] == b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        more = True
        while more:
            message = await receive()
            more = message.get("more_body", False)
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})
    elif path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"67108864")]})
        for _ in range(1023):
            await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
        await send({"type": "http.response.body", "body": CHUNK})
    elif path == "/events":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"data: tick\n\n", "more_body": True})
            await asyncio.sleep(0.1)
    elif path == "/sleep":
        await asyncio.sleep(1)
        await answer(send, HELLO, b"Hello, world!")
    elif path == "/pending":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await receive()
        await receive()
