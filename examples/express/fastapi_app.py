import asyncio
import platform
from pathlib import Path
from typing import AsyncIterator, Dict, Set

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, StreamingResponse

app = FastAPI(title="node-asgi example")
page = Path(__file__).with_name("demo.html").read_text(encoding="utf-8").replace("{python}", platform.python_version())
chatting: Set[WebSocket] = set()


@app.get("/", response_class=HTMLResponse)
async def home() -> str:
    return page


@app.get("/hello/{name}")
async def hello(name: str) -> Dict[str, str]:
    return {"hello": name, "answeredBy": "FastAPI", "python": platform.python_version()}


@app.get("/work")
async def work(number: int) -> Dict[str, int]:
    """Waits a moment, as for a database."""
    await asyncio.sleep(0.005 + number % 5 * 0.004)
    return {"number": number}


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        for number in range(1, 11):
            yield f"piece {number} of 10\n"
            await asyncio.sleep(0.2)

    return StreamingResponse(lines(), media_type="text/plain")


@app.websocket("/chat")
async def chat(websocket: WebSocket) -> None:
    """Sends what one page says to all of them."""
    await websocket.accept()
    chatting.add(websocket)
    try:
        async for text in websocket.iter_text():
            for other in list(chatting):
                try:
                    await other.send_text(text)
                except WebSocketDisconnect:
                    chatting.discard(other)
    finally:
        chatting.discard(websocket)
