"""Answers as many bytes as the query says; /tasks starts as many tasks that sleep."""
import asyncio

bodies = {}
tasks = []


async def app(scope, receive, send):
    count = int(scope["query_string"])
    if scope["path"] == "/tasks":
        tasks.extend(asyncio.ensure_future(asyncio.sleep(3600)) for _ in range(count))
        count = 0
    body = bodies.setdefault(count, bytes(count))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % count)]})
    await send({"type": "http.response.body", "body": body})
