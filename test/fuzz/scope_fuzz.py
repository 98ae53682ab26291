"""What a scope must be, said a second time in Python. A function that raises tells of a broken promise."""

from __future__ import annotations

import json
import re
import sys
from typing import Any
from urllib.parse import unquote_to_bytes

# Bits of bridge::Ability that are extensions.
EXTENSIONS = {
    1: 'http.response.pathsend',
    2: 'http.response.zerocopysend',
    4: 'http.response.trailers',
    8: 'http.response.early_hint',
    16: 'http.response.push',
    32: 'http.response.debug',
    256: 'websocket.http.response',
}
WEBSOCKET = 256
STATE = {'shared': object()}
# What every scope refers to. A reference too many, or too few, adds up over the inputs.
SHARED = [STATE['shared'], '', b'', 'type', 'asgi', 'http', 'path', 'headers', 'extensions', 'state', 'node', 'tls']
ROUNDS = 256
rounds = 0
counts: list[int] = []


def new_state() -> dict[str, Any]:
    """The lifespan state."""
    return dict(STATE)


def expect(found: Any, expected: Any, what: str) -> None:
    """Equal and of the same type."""
    assert type(found) is type(expected) and found == expected, f'{what}: expected {expected!r}, got {found!r}'


def text(data: bytes) -> str:
    """As everything of a head is decoded."""
    return data.decode('utf-8', 'replace')


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Path and query of a request target (RFC 9112 section 3.2)."""
    absolute = None if target.startswith(b'/') else re.match(rb'[^/?]*?://[^/?#]*', target, re.DOTALL)
    if absolute:
        target = target[absolute.end():]
    path, _, query = target.partition(b'#')[0].partition(b'?')
    return path or b'/', query


def address(host: bytes, port: bytes) -> tuple[str, int | None] | None:
    """(host, port), (path, None) or None."""
    if not host:
        return None
    number = re.match(rb'-?[0-9]+', port)
    fits = number is not None and -(2**31) <= int(number[0]) < 2**31
    return text(host), int(number[0]) if number is not None and fits else None


def subprotocols(pairs: list[tuple[bytes, bytes]]) -> list[str]:
    """What the client offers."""
    lists = [value.split(b',') for name, value in pairs if name == b'sec-websocket-protocol']
    return [text(one.strip(b' \t')) for offered in lists for one in offered if one.strip(b' \t')]


def same_json(found: Any, source: bytes, what: str) -> None:
    """The value of the text; by repr(), because NaN does not equal itself."""
    expected = json.loads(text(source))
    assert repr(found) == repr(expected), f'{what}: expected {expected!r}, got {found!r}'


def check_scope(scope: dict[str, Any], head: bytes, extra: bytes, tls: bytes, abilities: int) -> None:
    """Every key against the head that it was made from."""
    fields = head.split(b'\n')
    method, target, version, scheme, client, client_port, server, server_port, root_path = fields[:9]
    websocket = bool(abilities & WEBSOCKET)
    assert type(scope) is dict
    assert sys.getrefcount(scope) <= 4, 'the scope belongs to its caller alone'
    keys = {'type', 'asgi', 'http_version', 'scheme', 'path', 'raw_path', 'query_string', 'root_path', 'headers',
            'client', 'server', 'extensions', 'state', 'subprotocols' if websocket else 'method'}
    expect(set(scope), keys, 'keys')
    expect(scope['type'], 'websocket' if websocket else 'http', 'type')
    expect(scope['asgi'], {'version': '3.0', 'spec_version': '2.5'}, 'asgi')
    expect(scope['http_version'], text(version), 'http_version')

    names = [name.lower() for name in fields[9::2]]
    pairs = list(zip(names, fields[10::2]))
    expect(scope['headers'], pairs, 'headers')
    for pair in scope['headers']:
        assert type(pair) is tuple and type(pair[0]) is bytes and type(pair[1]) is bytes, f'pair: {pair!r}'
    if websocket:
        expect(scope['scheme'], 'wss' if scheme == b'https' else 'ws', 'scheme')
        expect(scope['subprotocols'], subprotocols(pairs), 'subprotocols')
    else:
        expect(scope['scheme'], text(scheme), 'scheme')
        expect(scope['method'], text(method), 'method')

    raw_path, query = split_target(target)
    expect(scope['raw_path'], raw_path, 'raw_path')
    expect(scope['query_string'], query, 'query_string')
    expect(scope['path'], text(unquote_to_bytes(raw_path)), 'path')
    expect(scope['root_path'], text(unquote_to_bytes(root_path)), 'root_path')
    expect(scope['client'], address(client, client_port), 'client')
    expect(scope['server'], address(server, server_port), 'server')

    offered = {name for bit, name in EXTENSIONS.items() if abilities & bit}
    offered |= {key for key, given in (('node', extra), ('tls', tls)) if given}
    expect(set(scope['extensions']), offered, 'extensions')
    for name in offered - {'node', 'tls'}:
        expect(scope['extensions'][name], {}, name)
    if extra:
        same_json(scope['extensions']['node'], extra, 'extensions.node')
    if tls:
        same_json(scope['extensions']['tls'], tls, 'extensions.tls')
    expect(scope['state'], STATE, 'state')


def is_json(source: bytes, kinds: tuple[type, ...]) -> bool:
    """Whether the text is JSON for a value of one of these types."""
    try:
        return not source or isinstance(json.loads(text(source)), kinds)
    except (ValueError, RecursionError):
        return False


def check_error(error: BaseException, extra: bytes, tls: bytes) -> None:
    """Only JSON can be wrong with a request whose head is whole."""
    fine = is_json(extra, (object,)) and is_json(tls, (dict,))
    assert not fine, f'no scope, but {error!r}'


def check_apart(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Two scopes of one head are equal, and share nothing that an app could change."""
    assert repr(first) == repr(second), f'{first!r} is not {second!r}'
    assert first is not second
    for key in ('asgi', 'headers', 'extensions', 'state', 'subprotocols'):
        assert key not in first or first[key] is not second[key], f'{key} is shared'
    for key, value in first['extensions'].items():
        if isinstance(value, (dict, list)):
            assert value is not second['extensions'][key], f'extensions.{key} is shared'
    assert first['state']['shared'] is second['state']['shared']


def check_below_root(scope: dict[str, Any]) -> None:
    """The path of a mounted app begins with its root_path (checklist S-14)."""
    path, root_path = scope['path'], scope['root_path']
    assert path == root_path or path.startswith(root_path + '/'), f'{path!r} is not below {root_path!r}'


def check_shared() -> None:
    """References to shared objects neither grow nor shrink with the inputs."""
    global rounds
    rounds += 1
    if rounds % ROUNDS:
        return
    found = [sys.getrefcount(one) for one in SHARED]
    if counts:
        moved = [(one, was, now) for one, was, now in zip(SHARED, counts, found) if abs(now - was) >= ROUNDS // 2]
        assert not moved, f'reference counts moved: {moved!r}'
    counts[:] = found
