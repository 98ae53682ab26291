"""The cold paths of node-asgi in Python; the hot paths are in the native addon."""
