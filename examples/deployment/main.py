import asyncio
import os
from typing import Any, AsyncIterator, Dict

from fastapi import FastAPI, WebSocket
from fastapi.responses import StreamingResponse

app = FastAPI()


@app.get("/hello/{name}")
async def hello(name: str) -> Dict[str, Any]:
    await asyncio.sleep(0.005)
    return {"hello": name, "replica": os.environ.get("REPLICA")}


@app.post("/orders")
async def order(order: Dict[str, Any]) -> Dict[str, Any]:
    await asyncio.sleep(0.05)
    return {"ordered": order}


@app.get("/count")
async def count() -> StreamingResponse:
    async def numbers() -> AsyncIterator[str]:
        for number in range(5):
            yield f"data: {number}\n\n"
            await asyncio.sleep(0.1)

    return StreamingResponse(numbers(), media_type="text/event-stream")


@app.websocket("/chat")
async def chat(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(f"{os.environ.get('REPLICA')}: {text}")
