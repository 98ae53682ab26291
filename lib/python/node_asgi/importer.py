"""Imports the app that an option `target` names."""
import contextlib
import importlib
import importlib.machinery
import inspect
import os
import sys
from types import ModuleType
from typing import Any, Callable, Dict, Iterator, List, Optional

#: The folders of all handlers so far.
_docroots: List[str] = []


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
    _refuse_clash(target.partition(":")[0].partition(".")[0], docroot)
    if docroot not in _docroots:
        _docroots.append(docroot)
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


def _refuse_clash(name: str, docroot: str) -> None:
    """sys.modules holds one module of a name: without this, the second of two `main.py` would be the first."""
    loaded = _place(getattr(sys.modules.get(name), "__spec__", None))
    wanted = _place(importlib.machinery.PathFinder.find_spec(name, [docroot]))
    if loaded is None or wanted is None or os.path.realpath(loaded) == os.path.realpath(wanted):
        return
    raise TargetError(
        "ERR_ASGI_MODULE_CLASH",
        f"module {name!r} of {wanted} cannot be loaded beside {loaded}, which is loaded already: one Python holds one "
        f"module of a name. Rename one of them, or make docroot the folder above, with a target such as "
        f"'{os.path.basename(docroot)}.{name}:app'",
    )


def forget(docroot: str) -> Dict[str, ModuleType]:
    """Takes the modules of docroot out of sys.modules, so that they are imported anew; answers them.

    Raises TargetError when one of them is a C extension, which loads once in a process.
    """
    root = os.path.join(os.path.realpath(docroot), "")
    own = {}
    for name, module in list(sys.modules.items()):
        place = os.path.realpath(_place(getattr(module, "__spec__", None)) or "")
        installed = "site-packages" in place or "dist-packages" in place or name.partition(".")[0] == "node_asgi"
        if place.startswith(root) and not installed:
            own[name] = module
    for name, module in own.items():
        if isinstance(getattr(module.__spec__, "loader", None), importlib.machinery.ExtensionFileLoader):
            raise TargetError(
                "ERR_ASGI_RELOAD",
                f"module {name!r} ({module.__file__}) is a C extension, which loads once in a process: restart Node to "
                "load it anew",
            )
    for name, module in own.items():
        del sys.modules[name]
        # Compiled code is told apart by second and size only: an edit may be as old and as long as what it replaces.
        with contextlib.suppress(OSError, TypeError):
            os.unlink(getattr(module, "__cached__", None))  # type: ignore[arg-type]
    importlib.invalidate_caches()
    return own


def remember(forgotten: Dict[str, ModuleType], docroot: str) -> None:
    """Undoes forget(): what has been imported since goes, and what was there comes back."""
    with contextlib.suppress(TargetError):
        forget(docroot)
    sys.modules.update(forgotten)


def hidden_modules(docroot: str) -> Iterator[TargetError]:
    """Modules of docroot that its app cannot import, because another handler has loaded others of their names."""
    others = tuple(os.path.join(os.path.realpath(other), "") for other in _docroots if other != docroot)
    for name, module in list(sys.modules.items()):
        loaded = _place(getattr(module, "__spec__", None))
        if "." in name or loaded is None or not os.path.realpath(loaded).startswith(others):
            continue
        try:
            _refuse_clash(name, docroot)
        except TargetError as clash:
            yield clash


def _place(spec: Optional[importlib.machinery.ModuleSpec]) -> Optional[str]:
    """The file of a module, or the folder of a namespace package."""
    if spec is None:
        return None
    if spec.has_location:
        return spec.origin
    return next(iter(spec.submodule_search_locations or []), None)


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
