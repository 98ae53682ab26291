"""Makes a message of bytes, and says a second time in Python what must be read of it.

An input is one letter and one object. The letter:

    k    the world keeps every object, and counts the references to each before and after
    other letters   nobody but the message keeps anything, and hostile objects pull it to pieces

An object is a letter, too, with what belongs to it; a string ends at ';', a container at '.':

    N T F       None, True, False          i200;  o200;  f       an int, an int of a class of its own, a float
    sTEXT;      str (with lone surrogates) bTEXT; cTEXT;         bytes, of a class of its own
    aTEXT;      bytearray                  mTEXT; MTEXT;         memoryview, one with gaps
    l…. u…. g….  list, tuple, iterable     {KEY VALUE…}          dict; KEY is a letter of KEYS or an object
    HAx         hostile in every method    LAx    lies of its class: x is what it says it is
                A is the digit of what the object does when it is asked, see ACTIONS
"""

from __future__ import annotations

import http
import sys
from typing import Any, Iterator

KEYS = {
    ord(letter): key for letter, key in {
        't': 'type', 's': 'status', 'h': 'headers', 'b': 'body', 'm': 'more_body', 'r': 'trailers',
        'R': 'more_trailers', 'k': 'links', 'p': 'path', 'P': 'subprotocol', 'c': 'code', 'e': 'reason',
        'y': 'bytes', 'x': 'text',
    }.items()
}
MAX_DEPTH = 6
MAX_ITEMS = 64


class Boom(Exception):
    """What a hostile object raises."""


class BytesOfOwn(bytes):
    """A subclass that a reader must take."""


class IntOfOwn(int):
    """A subclass that a reader must take."""


class Hostile:
    """Does its action whenever Python asks it for anything."""

    def __init__(self, world: World, action: int, value: Any) -> None:
        self.world = world
        self.action = action
        self.value = value

    def act(self) -> Any:
        """Raises, empties containers, or answers what nobody expects. See ACTIONS."""
        return ACTIONS[self.action](self)

    def give_value(self) -> Any:
        """Answers its value."""
        return self.value

    def give_up(self) -> Any:
        """Raises."""
        raise Boom

    def empty_message(self) -> Any:
        """Takes everything out of the message that is being read."""
        self.world.empty_message()
        return self.value

    def empty_parents(self) -> Any:
        """Takes everything out of the containers that this object is in."""
        self.world.empty_parents()
        return self.value

    def empty_all(self) -> Any:
        """Both, and raises."""
        self.world.empty_parents()
        self.world.empty_message()
        raise Boom

    def __bool__(self) -> Any:
        return self.act()

    def __index__(self) -> Any:
        return self.act()

    def __len__(self) -> Any:
        return self.act()

    def __iter__(self) -> Any:
        return iter(self.act())

    def __getitem__(self, key: Any) -> Any:
        return self.act()[key]

    def __getattr__(self, name: str) -> Any:
        # A message that is made has its attributes: only strange ones come here.
        return self.act()


ACTIONS = [Hostile.give_value, Hostile.give_up, Hostile.empty_message, Hostile.empty_parents, Hostile.empty_all]


class Liar(Hostile):
    """Says that it is of its value's class, after its action: as lazy proxies do."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        self.act()
        return type(self.value)


class Iterable:
    """Gives its items one by one, and nothing else."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        yield from self.items


class World:
    """One input: the bytes, and what was made of them."""

    def __init__(self, data: bytes) -> None:
        self.keeps = data[:1] == b'k'
        self.data = data
        self.at = 1
        self.message: dict[Any, Any] | None = None
        self.parents: list[Any] = []  # containers that are being read, held by nobody else when keeps is false
        self.objects: list[Any] = []
        self.counts: list[int] = []
        self.hostile = False

    def make(self) -> Any:
        """The message."""
        message = self.object(0)
        if self.keeps:
            # Less the reference of this function, which is gone when they are compared.
            self.counts = [sys.getrefcount(one) - (one is message) for one in self.objects]
        # A hostile object finds what it empties from here; a message is no garbage before that.
        self.message = message if type(message) is dict and not self.keeps else None
        return message

    def byte(self) -> int:
        """The next byte; 0 at the end."""
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def until_semicolon(self) -> bytes:
        """The bytes up to the next ';'."""
        end = self.data.find(b';', self.at)
        start, self.at = self.at, (len(self.data) if end < 0 else end + 1)
        return self.data[start:len(self.data) if end < 0 else end]

    def number(self) -> int:
        """Digits, or the bytes as a number."""
        digits = self.until_semicolon()
        try:
            return int(digits[:40])
        except ValueError:
            return int.from_bytes(digits[:16], 'little', signed=True)

    def keep(self, made: Any) -> Any:
        """Remembers an object whose references are counted. Python shares the small ones."""
        is_shared = type(made) is int and -6 < made < 257 or type(made) in (bytes, str) and len(made) < 2 or made == ()
        if self.keeps and not is_shared:
            self.objects.append(made)
        return made

    def items(self, depth: int) -> list[Any]:
        """Objects up to a '.'."""
        made: list[Any] = []
        while self.at < len(self.data) and len(made) < MAX_ITEMS:
            if self.data[self.at] == ord('.'):
                self.at += 1
                break
            made.append(self.object(depth + 1))
        return made

    def dict(self, depth: int) -> dict[Any, Any]:
        """Keys and values up to a '}'."""
        made: dict[Any, Any] = {}
        while self.at < len(self.data) and len(made) < MAX_ITEMS:
            letter = self.data[self.at]
            if letter == ord('}'):
                self.at += 1
                break
            if letter in KEYS:
                self.at += 1
                made[KEYS[letter]] = self.object(depth + 1)
            else:
                key = self.object(depth + 1)
                value = self.object(depth + 1)
                if type(key) in (str, bytes, int, float, type(None)):
                    made[key] = value
        return made

    def object(self, depth: int) -> Any:
        """The next object."""
        letter = chr(self.byte())
        if depth > MAX_DEPTH:
            return None
        if letter in 'TF':
            return letter == 'T'
        if letter == 'i':
            number = self.number()
            return http.HTTPStatus(number) if number in (200, 404) else self.keep(number)
        if letter == 'o':
            return self.keep(IntOfOwn(self.number()))
        if letter == 'f':
            return self.keep(float(len(self.data) - self.at))
        if letter == 's':
            return self.keep(self.until_semicolon().decode('utf-8', 'surrogateescape'))
        if letter == 'b':
            return self.keep(bytes(self.until_semicolon()))
        if letter == 'c':
            return self.keep(BytesOfOwn(self.until_semicolon()))
        if letter == 'a':
            return self.keep(bytearray(self.until_semicolon()))
        if letter == 'm':
            return self.keep(memoryview(self.until_semicolon()))
        if letter == 'M':
            return self.keep(memoryview(self.until_semicolon())[::2])
        if letter in 'lug':
            made = self.items(depth)
            if letter == 'l':
                self.parents.append(made)
            return self.keep(made if letter == 'l' else tuple(made) if letter == 'u' else Iterable(made))
        if letter == '{':
            return self.keep(self.dict(depth))
        if letter in 'HL':
            self.hostile = True
            # Nothing is pulled to pieces whose references are counted.
            action = (self.byte() - ord('0')) % (2 if self.keeps else len(ACTIONS))
            kind = Hostile if letter == 'H' else Liar
            return self.keep(kind(self, action, self.object(depth + 1)))
        return None

    def empty_message(self) -> None:
        """Drops what the message holds, so that its lists go too."""
        self.parents.clear()
        if self.message is not None:
            self.message.clear()

    def empty_parents(self) -> None:
        """Drops what the lists hold, and the lists."""
        while self.parents:
            self.parents.pop().clear()


def fail_both(error: BaseException, world: World) -> None:
    """A reader answered true and left an error."""
    raise AssertionError(f'true, and an error is set: {error!r}, for {world.data!r}')


def check_error(world: World, error: BaseException) -> None:
    """An error of a reader says whose it is, unless the message's objects raised their own."""
    if world.hostile or isinstance(error, UnicodeEncodeError):
        return
    assert isinstance(error, (TypeError, ValueError)), f'not the error of a reader: {error!r}'
    known = ('send()', 'http.response.', 'websocket.')
    assert str(error).startswith(known), f'an error without a place: {error!r}'


def fields(headers: Any, dropped: tuple[bytes, ...]) -> bytes:
    """Headers as they cross to JavaScript."""
    pairs = [(bytes(name), bytes(value).strip(b' \t')) for name, value in headers]
    return b'\n'.join(name + b'\n' + value for name, value in pairs if name.lower() not in dropped)


def check_read(
    world: World, message: Any, kind: str, number: int, flag: bool, first: bytes, second: bytes,
) -> None:
    """What was read is what the message says."""
    if world.hostile:
        return
    expected: tuple[Any, ...] | None = None
    if kind in ('http.response.start', 'websocket.http.response.start'):
        headers = fields(message.get('headers', ()), (b'transfer-encoding',))
        lengths = [value for name, value in message.get('headers', ()) if bytes(name).lower() == b'content-length']
        length = b'%d' % int(lengths[-1]) if lengths else b''
        assert type(message['status']) is not bool
        expected = (int(message['status']), bool(message.get('trailers', False)), headers, length)
    elif kind in ('http.response.body', 'websocket.http.response.body'):
        expected = (0, bool(message.get('more_body', False)), bytes(message.get('body', b'')), b'')
    elif kind == 'websocket.send':
        is_text = message.get('text') is not None
        data = message['text'].encode() if is_text else bytes(message['bytes'])
        expected = (0, is_text, data, b'')
    elif kind == 'websocket.close':
        code, reason = message.get('code'), message.get('reason')
        expected = (1000 if code is None else int(code), False, (reason or '').encode(), b'')
    elif kind == 'http.response.push':
        expected = (0, False, fields(message.get('headers', ()), ()), message['path'].encode())
    found = (number, flag, first, second)
    assert expected is None or found == expected, f'{message!r}: expected {expected!r}, got {found!r}'


def check_counts(world: World) -> None:
    """No reader keeps a reference, or drops one that is not its own."""
    if not world.keeps:
        return
    found = [sys.getrefcount(one) for one in world.objects]
    moved = [(type(one), was, now) for one, was, now in zip(world.objects, world.counts, found) if was != now]
    assert not moved, f'reference counts moved: {moved!r}, for {world.data!r}'
