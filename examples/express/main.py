"""The app that server.js hosts: FastAPI where it is installed, otherwise the same in plain ASGI."""
try:
    from fastapi_app import app
except ModuleNotFoundError as missing:
    if missing.name != "fastapi":
        raise
    from plain_app import app

__all__ = ["app"]
