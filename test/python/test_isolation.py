"""What install() does is settled once per process and cannot be undone, so every case runs in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Optional

import pytest

LIB = Path(__file__).resolve().parents[2] / "lib" / "python"

# Records the flags that each extension module would be loaded with, instead of loading it.
RECORD = """
import os, sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec
recorded = {}
def record(self, spec):
    recorded[spec.name] = sys.getdlopenflags()
ExtensionFileLoader.create_module = record
def load(name):
    ExtensionFileLoader(name, "/nowhere.so").create_module(ModuleSpec(name, None))
    return bool(recorded[name] & os.RTLD_DEEPBIND)
from node_asgi.isolation import install
"""

glibc = pytest.mark.skipif(not hasattr(os, "RTLD_DEEPBIND"), reason="RTLD_DEEPBIND is glibc's")
needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to build a preloaded library with")


def run(code: str, env: Optional[dict[str, str]] = None) -> str:
    """Runs the code in a fresh interpreter and returns what it printed."""
    base = {key: value for key, value in os.environ.items() if key not in ("LD_PRELOAD", "NODE_ASGI_ASAN")}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**base, "PYTHONPATH": str(LIB), **(env or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def build_library(path: Path, source: str) -> Path:
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(path)], input=source, text=True, check=True)
    return path


@pytest.fixture(scope="module")
def openssl_impostor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exports a symbol of OpenSSL ahead of the real library, as the node executable does."""
    return build_library(
        tmp_path_factory.mktemp("impostor") / "libimpostor.so",
        'const char *OpenSSL_version(int type) { (void)type; return "OpenSSL 9.9.9 impostor"; }',
    )


@glibc
@needs_cc
@pytest.mark.parametrize("mode", ["auto", "isolated"])
def test_ssl_keeps_its_own_openssl_when_the_process_exports_another(openssl_impostor: Path, mode: str) -> None:
    own = run("import ssl; print(ssl.OPENSSL_VERSION)")
    env = {"LD_PRELOAD": str(openssl_impostor)}
    code = "import ssl; print(ssl.OPENSSL_VERSION)"
    assert "impostor" in run(code, env), "the impostor has no effect, so this test would prove nothing"
    assert run(f"from node_asgi.isolation import install; install({mode!r}); {code}", env) == own


@glibc
@needs_cc
def test_shared_leaves_the_process_symbols_in_front(openssl_impostor: Path) -> None:
    code = "from node_asgi.isolation import install; print(install('shared')); import ssl; print(ssl.OPENSSL_VERSION)"
    assert run(code, {"LD_PRELOAD": str(openssl_impostor)}) == "shared\nOpenSSL 9.9.9 impostor"


@glibc
def test_install_itself_imports_neither_ssl_nor_asyncio() -> None:
    code = """
    import sys
    from node_asgi.isolation import install
    install()
    print({'ssl', '_ssl', 'asyncio'} & set(sys.modules))
    """
    assert run(code) == "set()"


@glibc
@pytest.mark.parametrize("mode", ["auto", "isolated"])
def test_all_extension_modules_are_isolated_but_the_exempt_ones(mode: str) -> None:
    code = RECORD + f"print(install({mode!r}), *map(load, ['_ssl', 'numpy.core', 'uvloop', 'uvloop.loop', 'readline']))"
    assert run(code) == "isolated True True True False False"


@glibc
def test_modules_are_bound_at_once_and_not_lazily() -> None:
    code = RECORD + """
install()
before = os.RTLD_LAZY | os.RTLD_GLOBAL
sys.setdlopenflags(before)
load('_ssl')
print(recorded['_ssl'] == os.RTLD_NOW | os.RTLD_GLOBAL | os.RTLD_DEEPBIND, sys.getdlopenflags() == before)
"""
    assert run(code) == "True True"


@glibc
def test_flags_are_restored_after_a_load_that_works_and_one_that_fails(tmp_path: Path) -> None:
    code = f"""
    import sys
    from importlib.machinery import ExtensionFileLoader, ModuleSpec
    from node_asgi.isolation import install
    before = sys.getdlopenflags()
    install()
    import _ctypes
    print(sys.getdlopenflags() == before)
    loader = ExtensionFileLoader('absent', {str(tmp_path / "absent.so")!r})
    try:
        loader.create_module(ModuleSpec('absent', loader, origin=loader.path))
    except ImportError:
        print('failed', sys.getdlopenflags() == before)
    """
    assert run(code) == "True\nfailed True"


@glibc
def test_an_import_within_an_import_gets_the_flags_of_its_own_name() -> None:
    code = """
    import os, sys, typing
    from importlib.machinery import ExtensionFileLoader, ModuleSpec
    seen = []
    def load(name):
        ExtensionFileLoader(name, '/nowhere.so').create_module(ModuleSpec(name, None))
    def record(self, spec):
        seen.append((spec.name, bool(sys.getdlopenflags() & os.RTLD_DEEPBIND)))
        if spec.name == 'outer':
            load('readline')
            load('inner')
    ExtensionFileLoader.create_module = record
    from node_asgi.isolation import install
    before = sys.getdlopenflags()
    install()
    load('outer')
    print(seen, sys.getdlopenflags() == before)
    """
    assert run(code) == "[('outer', True), ('readline', False), ('inner', True)] True"


@glibc
def test_threads_that_load_at_the_same_time_leave_the_flags_as_they_were() -> None:
    code = """
    import sys, threading, typing  # typing loads an extension module of its own on some builds
    from importlib.machinery import ExtensionFileLoader, ModuleSpec
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()
    def slow(self, spec):
        if spec.name == 'first':
            first_in.set(); assert second_in.wait(10)
        else:
            second_in.set(); assert first_out.wait(10)
    ExtensionFileLoader.create_module = slow
    from node_asgi.isolation import install
    before = sys.getdlopenflags()
    install()
    def load(name):
        ExtensionFileLoader(name, '/nowhere.so').create_module(ModuleSpec(name, None))
    first = threading.Thread(target=load, args=('first',)); first.start(); assert first_in.wait(10)
    second = threading.Thread(target=load, args=('second',)); second.start()
    first.join(); first_out.set(); second.join()
    print(sys.getdlopenflags() == before)
    """
    assert run(code) == "True"


@glibc
def test_a_load_that_ends_does_not_take_isolation_from_one_under_way() -> None:
    code = """
    import os, sys, threading
    from importlib.machinery import ExtensionFileLoader, ModuleSpec
    def load(name):
        ExtensionFileLoader(name, '/nowhere.so').create_module(ModuleSpec(name, None))
    def record(self, spec):
        if spec.name == 'first':
            second = threading.Thread(target=load, args=('second',)); second.start(); second.join(10)
            print(bool(sys.getdlopenflags() & os.RTLD_DEEPBIND))
    ExtensionFileLoader.create_module = record
    from node_asgi.isolation import install
    install()
    load('first')
    """
    assert run(code) == "True"


@glibc
def test_the_first_install_decides_and_wraps_only_once() -> None:
    code = """
    from importlib.machinery import ExtensionFileLoader
    from node_asgi.isolation import install
    first = install('auto'); wrapped = ExtensionFileLoader.create_module
    print(first, install('auto'), install('shared'), ExtensionFileLoader.create_module is wrapped)
    """
    assert run(code) == "isolated isolated isolated True"


def test_shared_wraps_nothing() -> None:
    code = """
    from importlib.machinery import ExtensionFileLoader
    from node_asgi.isolation import install
    before = ExtensionFileLoader.create_module
    print(install('shared'), ExtensionFileLoader.create_module is before)
    """
    assert run(code) == "shared True"


@pytest.mark.parametrize("mode", ["auto", "isolated"])
def test_a_libc_without_deepbind_shares(mode: str) -> None:
    code = f"""
    import os
    if hasattr(os, 'RTLD_DEEPBIND'):
        del os.RTLD_DEEPBIND
    from node_asgi.isolation import install
    print(install({mode!r})); import ssl
    """
    assert run(code) == "shared"


def test_an_unknown_mode_is_refused_by_name() -> None:
    code = """
    from node_asgi.isolation import install
    try:
        install('deep')
    except ValueError as error:
        print(error)
    """
    assert run(code) == "nativeSymbols must be one of auto, isolated, shared, not 'deep'"


@glibc
@needs_cc
@pytest.mark.parametrize("name", ["libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so"])
def test_a_preloaded_allocator_limits_isolation_to_tls(tmp_path: Path, name: str) -> None:
    library = build_library(tmp_path / name, "int placeholder;")
    code = RECORD + "print(install({!r}), *map(load, ['_ssl', '_hashlib', 'zlib', 'readline']))"
    env = {"LD_PRELOAD": str(library)}
    assert run(code.replace("{!r}", "'auto'"), env) == "partial True True False False"
    assert run(code.replace("{!r}", "'isolated'"), env) == "isolated True True True False"


@glibc
@needs_cc
def test_an_allocator_that_is_there_without_preload_is_noticed(tmp_path: Path) -> None:
    library = build_library(tmp_path / "libjemalloc.so.2", "int placeholder;")
    code = f"import ctypes; ctypes.CDLL({str(library)!r}); from node_asgi.isolation import install; print(install())"
    assert run(code) == "partial"


@glibc
@pytest.mark.parametrize("mode", ["auto", "isolated"])
@pytest.mark.parametrize(("value", "expected"), [("1", "shared"), ("0", "isolated"), ("", "isolated")])
def test_a_sanitizer_in_the_executable_is_declared_by_a_variable(mode: str, value: str, expected: str) -> None:
    code = f"from node_asgi.isolation import install; print(install({mode!r}))"
    assert run(code, {"NODE_ASGI_ASAN": value}) == expected


@glibc
@needs_cc
@pytest.mark.parametrize("mode", ["auto", "isolated"])
def test_modules_load_under_the_address_sanitizer(mode: str) -> None:
    runtime = subprocess.check_output(["cc", "-print-file-name=libasan.so"], text=True).strip()
    if not os.path.isabs(runtime):
        pytest.skip("the C compiler has no libasan.so")
    code = f"from node_asgi.isolation import install; print(install({mode!r})); import ssl"
    assert run(code, {"LD_PRELOAD": os.path.realpath(runtime), "ASAN_OPTIONS": "detect_leaks=0"}) == "shared"
