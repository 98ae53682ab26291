"""importer.load(): what a target may be, and what each wrong one says."""
import asyncio
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from node_asgi.importer import TargetError, load


@pytest.fixture()
def module(tmp_path: Path) -> Iterator[Callable[[str, str], str]]:
    """Writes a module below a docroot of its own; forgets what was imported from there."""
    before, path = set(sys.modules), list(sys.path)

    def write(name: str, text: str) -> str:
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return str(tmp_path)

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]
    sys.path[:] = path


APP = "async def app(scope, receive, send):\n    return 'app'\n"


def call(app: Any) -> Any:
    async def main() -> Any:
        return await app({"type": "http"}, None, None)

    return asyncio.run(main())


def test_finds_an_attribute_and_puts_the_docroot_first(module: Any) -> None:
    docroot = module("plain_app.py", APP)
    assert call(load("plain_app:app", docroot)) == "app"
    assert sys.path[0] == docroot
    load("plain_app:app", docroot)
    assert sys.path.count(docroot) == 1


def test_finds_dotted_modules_and_attributes(module: Any) -> None:
    module("outer_package/__init__.py", "")
    docroot = module("outer_package/inner.py", APP + "class Site:\n    class web:\n        app = staticmethod(app)\n")
    assert call(load("outer_package.inner:Site.web.app", docroot)) == "app"


def test_calls_a_factory(module: Any) -> None:
    docroot = module("made_app.py", APP + "def make():\n    return app\n")
    assert call(load("made_app:make()", docroot)) == "app"


@pytest.mark.parametrize("target", ["module", ":app", "module:", "module:a b", "module:1st", "module:f(1)", "a:b:c", ""])
def test_says_what_a_target_looks_like(target: str, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="expected 'module:attribute' or 'module:factory\\(\\)'") as raised:
        load(target, str(tmp_path))
    assert raised.value.code == "ERR_ASGI_TARGET"
    assert repr(target) in str(raised.value)


def test_says_where_a_missing_module_was_expected(module: Any) -> None:
    docroot = module("present_package/__init__.py", "")
    for target in ("no_such_module:app", "present_package.absent:app", "absent_package.inner:app"):
        with pytest.raises(TargetError) as raised:
            load(target, docroot)
        assert raised.value.code == "ERR_ASGI_MODULE_NOT_FOUND"
        assert str(Path(docroot, *target.split(":")[0].split("."))) + ".py" in str(raised.value)


def test_keeps_what_the_module_itself_raises(module: Any) -> None:
    module("needs_more.py", "import a_module_that_is_not_installed\n")
    docroot = module("raises_early.py", "raise KeyError('early')\n")
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_installed"):
        load("needs_more:app", docroot)
    with pytest.raises(KeyError, match="early"):
        load("raises_early:app", docroot)


def test_names_the_attribute_that_is_missing_and_where(module: Any) -> None:
    docroot = module("holder_app.py", "class Site:\n    number = 1\n")
    for target, part in [
        ("holder_app:app", "holder_app has no attribute 'app'"),
        ("holder_app:Site.web.app", "holder_app.Site has no attribute 'web'"),
        ("holder_app:Site.number", "callable, got int"),
    ]:
        with pytest.raises(TargetError, match=part) as raised:
            load(target, docroot)
        assert raised.value.code == "ERR_ASGI_APP_NOT_FOUND"


SHAPES = """
import functools

async def plain(scope, receive, send):
    return 'plain'

async def four(extra, scope, receive, send):
    return extra

partial = functools.partial(four, 'partial')

def returns_coroutine(*args):
    return plain(*args)

class Instance:
    async def __call__(self, scope, receive, send):
        return 'instance'

instance = Instance()

class Double:
    def __init__(self, scope):
        pass

    async def __call__(self, receive, send):
        return 'double class'

def double(scope):
    async def inner(receive, send):
        return 'double function'
    return inner

def marked(*args):
    async def inner(receive, send):
        return 'marked double'
    return inner

marked._asgi_double_callable = True
"""


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("plain", "plain"), ("partial", "partial"), ("returns_coroutine", "plain"), ("instance", "instance"),
        ("Double", "double class"), ("double", "double function"), ("marked", "marked double"),
    ],
)
def test_tells_single_from_double_callables(module: Any, name: str, answer: str) -> None:
    docroot = module("shaped_apps.py", SHAPES)
    assert call(load(f"shaped_apps:{name}", docroot)) == answer
