'use strict';

/** Lines S- of the ASGI checklist that need more than test/core/scope.test.js shows. */

const { once } = require('node:events');
const http = require('node:http');
const http2 = require('node:http2');
const path = require('node:path');

const { WebSocket } = require('ws');

const { coreApps, eventually, jsonOf } = require('../helpers/core-apps');
const { RawConnection, requestBytes } = require('../helpers/raw-http');

const docroot = path.resolve(__dirname, '../../fixtures/conformance');
const { open, serve, closeLater } = coreApps();

/** The app behind node:http, with WebSockets. */
let served;

beforeAll(async () => {
  served = await serve('conformance_scope', { docroot, lifespan: 'on', scope: { user: 'ada', nested: { list: [1, 2.5, null] } } });
  served.handler.attach(served.server);
});

const newKey = () => crypto.randomUUID();
const kept = (key) => eventually(() => served.fetchJson(`/seen?key=${key}`));

/** Opens a WebSocket, sends a text and bytes, closes it, and tells what the app has kept. */
async function converse() {
  const key = newKey();
  const client = new WebSocket(`ws://127.0.0.1:${served.port}/?key=${key}`);
  await once(client, 'open');
  client.send('text');
  client.send(Buffer.from('bytes'));
  client.close(4321, 'done');
  await once(client, 'close');
  return kept(key);
}

describe('types', () => {
  test('S-30 a request and its events hold nothing but plain values', async () => {
    const key = newKey();
    await served.fetch({ method: 'POST', target: `/types?key=${key}`, body: Buffer.alloc(200_000), headers: [['x-a', '']] });
    const { strange, types } = await kept(key);
    expect(strange).toEqual([]);
    expect(new Set(types)).toEqual(new Set(['http.request', 'http.disconnect']));
  });

  test('S-30 S-01 a lifespan and a WebSocket and their events hold nothing but plain values', async () => {
    expect(await kept('lifespan')).toEqual({ strange: [], types: ['lifespan.startup'] });
    const { strange, types } = await converse();
    expect(strange).toEqual([]);
    expect(types).toEqual(['websocket.connect', 'websocket.receive', 'websocket.receive', 'websocket.disconnect']);
  });
});

describe('each request has a scope of its own', () => {
  test('S-05 on one connection, to the bottom: dicts and lists inside it, too', async () => {
    const connection = await RawConnection.open(served.port);
    const found = [];
    for (let round = 0; round < 3; round += 1) {
      await connection.write(requestBytes({ target: '/spoils', headers: [['x-one', '1']] }));
      found.push(jsonOf(await connection.readResponse()));
    }
    connection.destroy();
    expect(found[0].headers).toEqual([['host', 'example.test'], ['x-one', '1']]);
    expect(found[0].extensions.node).toEqual({ user: 'ada', nested: { list: [1, 2.5, null] } });
    expect(found[1]).toEqual(found[0]);
    expect(found[2]).toEqual(found[0]);
  });

  test('S-05 on the streams of one HTTP/2 session', async () => {
    const server = http2.createServer(served.handler.listener()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const session = http2.connect(`http://127.0.0.1:${server.address().port}`);
    const ask = async () => {
      const stream = session.request({ ':path': '/spoils', 'x-one': '1' });
      let text = '';
      stream.setEncoding('utf8').on('data', (data) => { text += data; });
      await once(stream, 'end');
      return JSON.parse(text);
    };
    try {
      const [first, second] = await Promise.all([ask(), ask()]);
      expect(first.headers).toContainEqual(['x-one', '1']);
      expect(second).toEqual(first);
      expect(await ask()).toEqual(first);
    } finally {
      session.close();
      await new Promise((resolve) => { server.close(resolve); });
    }
  });

  test('S-05 on WebSockets', async () => {
    const first = await converse();
    const second = await converse();
    expect(first.spoilt).toBe(false);
    expect(first.asgi.version).toBe('3.0');
    expect(second).toEqual(first);
  });

  test('S-29 what an app claims in its scope is not believed', async () => {
    expect(await served.fetchJson('/decides-alone')).toBe('RuntimeError');
  });
});

describe('the way to the app', () => {
  test('S-07 S-08 a lower-case method is upper-cased, an odd Host leaves the scheme alone', async () => {
    const { handler } = open('scope_dump');
    const { method, scheme } = (await handler.handleRequest({ method: 'get', url: '/', headers: { host: 'example.test:443' } })).json().scope;
    expect([method, scheme]).toEqual(['GET', 'http']);
  });

  test.each([
    ['http', 'ws'], ['https', 'wss'],
  ])('S-08 a WebSocket of %s has the scheme %s', async (given, scheme) => {
    const { handler } = open('websockets');
    const socket = handler.webSocket(`${given}://example.test/scope`);
    const [message] = await once(socket, 'message');
    socket.close();
    expect(JSON.parse(message.data).scheme).toBe(scheme);
  });

  test('S-15 path begins with root_path on every way to the app', async () => {
    const { handler } = open('scope_dump', { rootPath: '/r/s/' });
    const server = http.createServer(handler.listener());
    closeLater({ close: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }) });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const connection = await RawConnection.open(server.address().port);
    for (const target of ['/', '/x', '/r', '/r/s', '/r/s/x', '//r/s', '*']) {
      await connection.write(requestBytes({ method: 'OPTIONS', target }));
      const { scope } = jsonOf(await connection.readResponse());
      expect(scope.root_path).toBe('/r/s');
      if (target !== '*') expect(scope.path.startsWith('/r/s')).toBe(true);
      if (target !== '*') expect(scope.raw_path.startsWith('/r/s')).toBe(true);
    }
    connection.destroy();
  });
});

describe('state', () => {
  test('S-26 S-27 an object of the startup is itself in every request, on the loop that made it; a new value is not shared', async () => {
    const facts = { loop: true, object: true, state: 'dict', word: 'from startup', keys: ['loop', 'object', 'word'] };
    expect(await served.fetchJson('/loops')).toEqual(facts);
    expect(await served.fetchJson('/loops')).toEqual(facts);
  });
});
