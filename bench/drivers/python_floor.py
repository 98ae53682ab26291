"""The pure Python floor: create_task(app(...)) with no-op receive and send, in batches of 100.

Prints JSON {"cpu": microseconds of CPU per request, "loop": name}.
"""
import asyncio
import json
import sys
import time

from hello import app

REQUESTS = int(sys.argv[1])
BATCH = 100


async def receive():
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message):
    pass


async def run(requests):
    loop = asyncio.get_running_loop()
    for _ in range(requests // BATCH):
        await asyncio.gather(*[loop.create_task(app({"type": "http"}, receive, send)) for _ in range(BATCH)])


async def main():
    await run(20_000)
    began = time.process_time()
    await run(REQUESTS)
    cpu = (time.process_time() - began) / REQUESTS * 1e6
    print(json.dumps({"cpu": cpu, "loop": type(asyncio.get_running_loop()).__module__.split(".")[0]}))


try:
    import uvloop

    loop = uvloop.new_event_loop()
except ImportError:
    loop = asyncio.new_event_loop()
loop.run_until_complete(main())
