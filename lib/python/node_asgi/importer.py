"""Imports the app that an option `target` names."""
import importlib
import importlib.util
import inspect
import os
import sys
from typing import Any, Callable


class TargetError(Exception):
    """The target cannot be used; `code` is a row of the error table in lib/errors.js."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def load(target: str, docroot: str) -> Callable[..., Any]:
    """Imports `module:attribute`, with dotted modules and attributes; `module:factory()` calls the factory.

    Puts docroot first on sys.path. Raises TargetError when the target is malformed, its module is missing or
    it names no callable; whatever the module itself raises while it is imported passes through unchanged.
    """
    if docroot not in sys.path[:1]:
        sys.path.insert(0, docroot)
    factory = target.endswith("()")
    app = find(target[:-2] if factory else target, docroot, "option target", "'module:attribute' or 'module:factory()'")
    if factory:
        app = app()
    if not callable(app):
        raise TargetError(
            "ERR_ASGI_APP_NOT_FOUND",
            f"target {target!r}: expected an ASGI app, which is callable, got {type(app).__name__}",
        )
    return _single_callable(app)


def find(target: str, docroot: str = "", what: str = "call()", expected: str = "'module:function'") -> Any:
    """What `module:attribute` names. `what` and `expected` are for the message of a TargetError."""
    module_name, colon, attribute = target.partition(":")
    names = attribute.split(".")
    if not colon or not module_name or not all(name.isidentifier() for name in names):
        raise TargetError("ERR_ASGI_TARGET", f"{what}: expected {expected}, got {target!r}")
    found: Any = sys.modules.get(module_name)
    if found is None:
        importlib.invalidate_caches()
        found = _import(module_name, docroot or sys.path[0])
    for depth, name in enumerate(names):
        try:
            found = getattr(found, name)
        except AttributeError:
            where = ".".join([module_name, *names[:depth]])
            raise TargetError("ERR_ASGI_APP_NOT_FOUND", f"target {target!r}: {where} has no attribute {name!r}") from None
    return found


def _import(name: str, docroot: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A module that the app imports may be missing too: that is the app's error, and keeps its traceback.
        missing = error.name or ""
        if missing != name and not name.startswith(missing + "."):
            raise
        looked = os.path.join(docroot, *name.split("."))
        raise TargetError(
            "ERR_ASGI_MODULE_NOT_FOUND",
            f"no module named {missing!r}: expected {looked}.py or {looked}{os.sep}__init__.py, "
            f"or an installed module (sys.prefix is {sys.prefix})",
        ) from error


def _single_callable(app: Any) -> Callable[..., Any]:
    """Wraps an ASGI 2 double callable: app(scope)(receive, send)."""
    if not _is_double_callable(app):
        return app

    async def single(scope: Any, receive: Any, send: Any) -> Any:
        return await app(scope)(receive, send)

    return single


def _is_double_callable(app: Any) -> bool:
    """As asgiref.compatibility decides it."""
    if getattr(app, "_asgi_single_callable", False):
        return False
    if getattr(app, "_asgi_double_callable", False):
        return True
    if inspect.isclass(app):
        return _takes_scope_only(app)
    if not inspect.isfunction(app) and inspect.iscoroutinefunction(getattr(app, "__call__", None)):
        return False
    return not inspect.iscoroutinefunction(app) and _takes_scope_only(app)


def _takes_scope_only(app: Any) -> bool:
    """asgiref calls every other callable double; a callable of three arguments that returns an awaitable
    (functools.partial, a decorator without async) is single all the same (checklist X-17)."""
    try:
        inspect.signature(app).bind(None, None, None)
    except TypeError:
        return True
    except ValueError:  # no signature: a compiled callable
        return False
    return False
