"""Keeps Python's extension modules off the libraries that the node executable exports.

Node exports OpenSSL, zlib, libuv and more, and the dynamic linker prefers them: without this, `ssl` runs on Node's
OpenSSL with Node's certificate folder. On glibc RTLD_DEEPBIND makes a module prefer the libraries it was linked with.

Thread: install() on the Python thread, before anything imports ssl; loads may then come from any thread. Never undone.
"""

from __future__ import annotations

import _thread
import os
import sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from typing import Callable, Optional

MODES = ("auto", "isolated", "shared")

# uvloop's bundled libuv must see the process's own `environ`, or subprocess env= is ignored; readline shares its
# state with the terminal library that is already in the process.
_EXEMPT = frozenset({"uvloop.loop", "readline"})

# Memory from the preloaded allocator must not be freed by libc's: with one preloaded only what matters most moves.
_TLS = frozenset({"_ssl", "_hashlib"})

_ALLOCATORS = ("jemalloc", "tcmalloc", "mimalloc")
_SANITIZERS = ("libasan", "libtsan", "libhwasan", "libclang_rt.asan", "libclang_rt.tsan", "libclang_rt.hwasan")

_in_force: Optional[str] = None


def install(mode: str = "auto") -> str:
    """Decides once per process and returns what is in force: 'isolated', 'partial' (TLS modules only) or 'shared'."""
    global _in_force
    if mode not in MODES:
        raise ValueError(f"nativeSymbols must be one of {', '.join(MODES)}, not {mode!r}")
    if _in_force is None:
        _in_force = _decide(mode)
        if _in_force == "isolated":
            _wrap(lambda name: name not in _EXEMPT)
        elif _in_force == "partial":
            _wrap(lambda name: name in _TLS)
    return _in_force


def _decide(mode: str) -> str:
    if mode == "shared" or not hasattr(os, "RTLD_DEEPBIND"):
        return "shared"
    libraries = _libraries()
    # The sanitizer runtimes abort the process at the first RTLD_DEEPBIND, so 'isolated' cannot be forced on them.
    if _asan_declared() or _any_of(_SANITIZERS, libraries):
        return "shared"
    if mode == "auto" and _any_of(_ALLOCATORS, libraries):
        return "partial"
    return "isolated"


def _asan_declared() -> bool:
    """A sanitizer linked into the executable has no library that could be seen: its build says so itself."""
    return os.environ.get("NODE_ASGI_ASAN", "") not in ("", "0")


def _libraries() -> set[str]:
    """File names of the libraries in this process, and of those it was told to preload."""
    preload = os.environ.get("LD_PRELOAD", "").replace(":", " ").split()
    names = {os.path.basename(path) for path in preload}
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            names.update(os.path.basename(line.rstrip()) for line in maps if "/" in line)
    except OSError:
        pass
    return names


def _any_of(parts: tuple[str, ...], libraries: set[str]) -> bool:
    return any(part in name for name in libraries for part in parts)


def _wrap(isolates: Callable[[str], bool]) -> None:
    load = ExtensionFileLoader.create_module
    lock = _thread.allocate_lock()
    loading = 0
    flags_outside = 0

    def create_module(self: ExtensionFileLoader, spec: ModuleSpec) -> object:
        # The flags are one value for all threads, and a module's init may import further modules. The lock is not
        # held while loading, as it could deadlock with import locks: the last one out restores.
        nonlocal loading, flags_outside
        with lock:
            flags = sys.getdlopenflags()
            if loading == 0:
                flags_outside = flags
            loading += 1
            sys.setdlopenflags(_deep(flags) if isolates(spec.name) else flags & ~os.RTLD_DEEPBIND)
        try:
            return load(self, spec)
        finally:
            with lock:
                loading -= 1
                if loading == 0:
                    sys.setdlopenflags(flags_outside)

    ExtensionFileLoader.create_module = create_module  # type: ignore[method-assign]


def _deep(flags: int) -> int:
    return (flags & ~os.RTLD_LAZY) | os.RTLD_NOW | os.RTLD_DEEPBIND
