"""Computes in Python, and lets nothing else of its loop run."""


async def app(scope, receive, send):
    assert scope["type"] == "http"
    number = 0
    while True:
        number += 1
