"""Says hello to whoever the path names, wherever it is mounted."""
import json
import platform
from typing import Any


async def app(scope: dict, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    path = scope["path"][len(scope["root_path"]):]
    status, value = 404, {"error": f"nothing at {path}"}
    if path.startswith("/hello/"):
        status, value = 200, {"hello": path[len("/hello/"):], "python": platform.python_version()}
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})
