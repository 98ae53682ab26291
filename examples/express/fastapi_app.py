import platform
from typing import Dict

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

app = FastAPI(title="node-asgi example")


@app.get("/", response_class=HTMLResponse)
async def home(request: Request) -> str:
    links = ["hello/world", "docs", "node"]
    items = "".join(f'<li><a href="{request.base_url}{link}">{link}</a></li>' for link in links)
    return f"<h1>FastAPI on Python {platform.python_version()}, served by Express</h1><ul>{items}</ul>"


@app.get("/hello/{name}")
async def hello(name: str) -> Dict[str, str]:
    return {"hello": name, "answeredBy": "FastAPI", "python": platform.python_version()}
