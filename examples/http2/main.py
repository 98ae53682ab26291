"""Tells which connection it was asked over."""
import json
from typing import Any


async def app(scope: dict, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    tls = scope["extensions"].get("tls", {})
    told = {"scheme": scope["scheme"], "http": scope["http_version"], "tls": tls.get("tls_version")}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})
