"""What a fresh interpreter needs before the first app is imported."""
import sys


def prepare() -> None:
    """Called once, before asyncio or ssl are imported. Raises nothing that an app could cause."""
    for stream in (sys.stdout, sys.stderr):
        # Off a terminal Python buffers whole blocks; lines would come out long after Node's.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(line_buffering=True)
    _prefer_forkserver()


def _prefer_forkserver() -> None:
    """Makes multiprocessing start workers afresh: fork would copy all of Node with its listening sockets.

    `multiprocessing.set_start_method()` still lets an app choose.
    """
    import multiprocessing.context as context

    method = "forkserver" if "forkserver" in context._concrete_contexts else "spawn"  # type: ignore[attr-defined]
    context._default_context._default_context = context._concrete_contexts[method]  # type: ignore[attr-defined]
