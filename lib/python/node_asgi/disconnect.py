"""What `send()` raises once the client has left."""
from typing import Set


class ClientDisconnected(OSError):
    """The client has left. An OSError, as asgiref www.rst 2.4 asks; never logged when it escapes the app."""


#: asyncio's cancellation, and Starlette's error for a request body that breaks off.
_CONSEQUENCES = ("CancelledError", "ClientDisconnect")


def is_about_disconnect(exception: BaseException) -> bool:
    """Whether a client's leaving caused the exception: itself, by its cause, or by all members of a group."""
    seen: Set[int] = set()
    current = exception
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if isinstance(current, ClientDisconnected) or type(current).__name__ in _CONSEQUENCES:
            return True
        members = getattr(current, "exceptions", None)
        if isinstance(members, (tuple, list)) and members:
            return all(is_about_disconnect(member) for member in members)
        # As tracebacks see it: `raise … from None` says that the app's own reason is the only one.
        context = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or context  # type: ignore[assignment]
    return False
