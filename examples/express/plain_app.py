import json
import platform
from typing import Any


async def app(scope: dict, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    path = scope["path"][len(scope["root_path"]):]
    status, kind, body = 404, b"text/plain", "Not Found"
    if path in ("", "/"):
        status, kind = 200, b"text/html; charset=utf-8"
        body = f"<h1>ASGI on Python {platform.python_version()}, served by Express</h1>"
    elif path.startswith("/hello/"):
        status, kind = 200, b"application/json"
        body = json.dumps({
            "hello": path[len("/hello/"):], "answeredBy": "plain ASGI", "python": platform.python_version(),
        })
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": body.encode()})
