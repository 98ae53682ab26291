'use strict';

/** WebSockets by the ids W- and E- of the checklist, with the `ws` client and with raw sockets. */

const crypto = require('node:crypto');
const { once } = require('node:events');
const http = require('node:http');
const http2 = require('node:http2');
const net = require('node:net');

const { WebSocket } = require('ws');

const { coreApps, eventually, later } = require('../helpers/core-apps');

const { open } = coreApps();
const servers = [];
let app;

async function serve(target = 'websockets', options = {}, attach = {}) {
  const opened = open(target, options);
  await opened.handler.ready();
  const server = http.createServer(opened.handler.listener());
  opened.handler.attach(server, attach);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  servers.push(server);
  return { ...opened, server, port: server.address().port };
}

beforeAll(async () => { app = await serve(); });

afterAll(() => {
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
});

let keys = 0;
const newKey = () => `key${++keys}`;

/** What the app has kept under a key. */
const kept = async (key, handler = app.handler) => (await handler.handleRequest({ url: `/seen?key=${key}` })).json();
const keptAll = (key, count, handler) => eventually(async () => { const all = await kept(key, handler); return all?.length >= count && all; });

/** A client with what happened to it. */
function connect(target, { port = app.port, protocols = [], ...options } = {}) {
  const client = new WebSocket(`ws://127.0.0.1:${port}${target}`, protocols, options);
  const log = { client, messages: [], headers: [], status: 101, body: '', errors: [] };
  client.on('upgrade', (response) => { log.headers = response.rawHeaders; });
  client.on('message', (data, binary) => log.messages.push(binary ? data : data.toString()));
  client.on('error', (error) => log.errors.push(error));
  client.on('unexpected-response', (_request, response) => {
    log.status = response.statusCode;
    log.headers = response.rawHeaders;
    response.on('data', (data) => { log.body += data; });
    response.on('error', (error) => log.errors.push(error));
    response.on('close', () => log.refused());
  });
  log.refusal = new Promise((resolve) => { log.refused = resolve; });
  log.opened = once(client, 'open');
  log.opened.catch(() => {});
  log.closed = new Promise((resolve) => { client.on('close', (code, reason) => resolve([code, reason.toString()])); });
  log.next = async () => { await eventually(() => log.messages.length > 0); return log.messages.shift(); };
  return log;
}

const values = (raw, name) => raw.filter((_, i) => i % 2 === 1 && raw[i - 1].toLowerCase() === name);

/** A handshake written by hand. */
const handshake = (target, { method = 'GET', version = '1.1', headers = {} } = {}) => {
  const all = {
    host: 'example.test', connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13',
    'sec-websocket-key': crypto.randomBytes(16).toString('base64'), ...headers,
  };
  const lines = Object.entries(all).filter(([, value]) => value !== null).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${target} HTTP/${version}\r\n${lines.join('')}\r\n`;
};

/** A client frame. */
function frame(opcode, payload = Buffer.alloc(0), { fin = true } = {}) {
  const data = Buffer.from(payload);
  const mask = crypto.randomBytes(4);
  const head = [(fin ? 0x80 : 0) | opcode];
  if (data.length < 126) head.push(0x80 | data.length);
  else head.push(0x80 | 126, data.length >> 8, data.length & 255);
  return Buffer.concat([Buffer.from(head), mask, data.map((byte, i) => byte ^ mask[i % 4])]);
}

async function rawSocket(bytes, port = app.port) {
  const socket = net.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const log = { socket, received: Buffer.alloc(0), ended: false };
  socket.on('data', (data) => { log.received = Buffer.concat([log.received, data]); });
  socket.on('close', () => { log.ended = true; });
  socket.on('error', () => {});
  socket.write(bytes);
  return log;
}

describe('handshake', () => {
  test('W-01 W-02 the app runs first: no 101 before its accept, frames that came early wait', async () => {
    const key = newKey();
    const raw = await rawSocket(Buffer.concat([Buffer.from(handshake(`/waits?key=${key}`)), frame(1, 'early')]));
    await later(100);
    expect(raw.received).toHaveLength(0);
    await eventually(() => raw.received.toString().startsWith('HTTP/1.1 101 Switching Protocols\r\n'));
    expect(await keptAll(key, 2)).toEqual([false, { type: 'websocket.receive', text: 'early' }]);
    raw.socket.destroy();
  });

  test.each([
    ['no key', { headers: { 'sec-websocket-key': null } }, 400], ['a short key', { headers: { 'sec-websocket-key': 'abc=' } }, 400],
    ['version 8', { headers: { 'sec-websocket-version': '8' } }, 426], ['POST', { method: 'POST' }, 400],
  ])('W-03 %s is refused without asking the app', async (_name, options, status) => {
    const key = newKey();
    const raw = await rawSocket(handshake(`/echo?key=${key}`, options));
    await eventually(() => raw.ended);
    expect(raw.received.toString()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    if (status === 426) expect(raw.received.toString()).toMatch(/sec-websocket-version: 13/i);
    expect(await kept(key)).toBeNull();
  });

  test('W-03 a request for a protocol that nobody speaks is served as if it had not asked', async () => {
    const raw = await rawSocket(handshake('/echo', { headers: { upgrade: 'h2c', connection: 'Upgrade, HTTP2-Settings' } }));
    await eventually(() => raw.received.toString().endsWith('\r\n4\r\nnull\r\n0\r\n\r\n'));
    expect(raw.received.toString()).toMatch(/^HTTP\/1\.1 200 /);
    // The connection is one of HTTP again, which upgrades as any other.
    raw.socket.write(handshake('/echo'));
    await eventually(() => raw.received.toString().includes('HTTP/1.1 101 '));
    raw.socket.destroy();
  });

  test('W-03 HTTP/1.0 is refused', async () => {
    const raw = await rawSocket(handshake('/echo', { version: '1.0' }));
    await eventually(() => raw.ended);
    expect(raw.received.toString()).not.toMatch(/ 101 /);
  });

  test('W-04 the 101 has the right Sec-WebSocket-Accept', async () => {
    const raw = await rawSocket(handshake('/echo', { headers: { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' } }));
    await eventually(() => raw.received.includes('\r\n\r\n'));
    expect(raw.received.toString()).toMatch(/Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
    raw.socket.destroy();
  });

  test('W-04 W-06 W-29 the subprotocol is one that the client has offered', async () => {
    const key = newKey();
    const one = connect(`/subprotocol?key=${key}`, { protocols: ['chat.v1', 'chat.v2'] });
    await one.opened;
    expect(one.client.protocol).toBe('chat.v2');
    const none = connect('/subprotocol?key=unused');
    await none.opened;
    expect(none.client.protocol).toBe('');
    expect(await kept(key)).toEqual([
      expect.stringMatching(/^ValueError: .*not offered the subprotocol 'not-offered'/), expect.stringMatching(/^TypeError: .*str or None, got bytes/),
    ]);
  });

  test('W-05 accept headers go out in order, repeated ones kept apart; wrong ones raise', async () => {
    const key = newKey();
    const one = connect(`/headers?key=${key}`);
    await one.opened;
    expect(values(one.headers, 'set-cookie')).toEqual(['a=1', 'b=2']);
    expect(values(one.headers, 'x-one')).toEqual(['1']);
    expect(values(one.headers, 'upgrade')).toEqual(['websocket']);
    expect(await kept(key)).toEqual([
      expect.stringMatching(/^ValueError: .*set by 'subprotocol'/), expect.stringMatching(/^ValueError: .*':status'/),
      expect.stringMatching(/^ValueError: .*CR, LF or NUL/), expect.stringMatching(/^TypeError: .*expected bytes, got str/),
    ]);
  });

  test('W-29 S-08 S-13 the scope of a WebSocket', async () => {
    const one = connect('/scope?a=b%20c', { protocols: ['one', 'two'], headers: { 'X-Test': 'yes' } });
    const scope = JSON.parse(await one.next());
    expect(scope).toMatchObject({
      type: 'websocket', asgi: { version: '3.0', spec_version: '2.5' }, http_version: '1.1', scheme: 'ws', path: '/scope',
      raw_path: '/scope', query_string: 'a=b%20c', root_path: '', subprotocols: ['one', 'two'],
      client: ['127.0.0.1', expect.any(Number)], server: ['127.0.0.1', app.port], extensions: { 'websocket.http.response': {} },
    });
    expect(scope).not.toHaveProperty('method');
    expect(scope.headers).toEqual(expect.arrayContaining([['x-test', 'yes']]));
  });

  test('W-29 subprotocols of several header lines are one list', async () => {
    const raw = await rawSocket(handshake('/scope').replace('\r\n\r\n',
      '\r\nSec-WebSocket-Protocol: a,\tb \r\nsec-websocket-protocol: c\r\n\r\n'));
    await eventually(() => raw.received.includes('"subprotocols": ["a", "b", "c"]'));
    raw.socket.destroy();
  });

  test('W-07 a close before accept is a 403', async () => {
    const key = newKey();
    const one = connect(`/rejects?key=${key}`);
    await one.refusal;
    expect([one.status, one.body]).toEqual([403, 'Forbidden']);
    expect(await kept(key)).toEqual([{ type: 'websocket.disconnect', code: 1006, reason: '' }]);
  });

  test.each([['/returns-early', 'ERR_ASGI_NO_RESPONSE'], ['/raises-early', 'ERR_PYTHON_EXCEPTION']])(
    'W-08 %s: a 500, and the socket is closed', async (target, code) => {
      const one = connect(target);
      await one.refusal;
      expect([one.status, one.body]).toEqual([500, 'Internal Server Error']);
      expect(app.errors.splice(0)).toMatchObject([{ code }]);
    });

  test('W-24 a client that leaves before its answer', async () => {
    const key = newKey();
    const raw = await rawSocket(handshake(`/waits?key=${key}&seconds=0.3`));
    await later(50);
    raw.socket.destroy();
    expect(await keptAll(key, 3)).toEqual([
      true, { type: 'websocket.disconnect', code: 1006, reason: '' }, expect.stringMatching(/^ClientDisconnected/),
    ]);
    expect(app.errors).toEqual([]);
  });
});

describe('messages', () => {
  test('W-09 W-11 W-12 text and binary are kept apart, with one key each, empty ones included', async () => {
    const key = newKey();
    const one = connect(`/echo?key=${key}`);
    await one.opened;
    for (const message of ['text', '', 'grün 🐍', Buffer.from([0, 255]), Buffer.alloc(0)]) one.client.send(message);
    await eventually(() => one.messages.length === 5);
    expect(one.messages).toEqual(['text', '', 'grün 🐍', Buffer.from([0, 255]), Buffer.alloc(0)]);
    one.client.close();
    await one.closed;
    expect(await keptAll(key, 6)).toEqual([
      ...['text', '', 'grün 🐍'].map((text) => ({ type: 'websocket.receive', text })),
      { type: 'websocket.receive', bytes: '\u0000ÿ' }, { type: 'websocket.receive', bytes: '' },
      { type: 'websocket.disconnect', code: 1005, reason: '' },
    ]);
  });

  test('W-10 W-13 fragments are put together, with control frames between; pings are answered, pongs ignored', async () => {
    const key = newKey();
    const raw = await rawSocket(handshake(`/echo?key=${key}`));
    await eventually(() => raw.received.includes('\r\n\r\n'));
    raw.received = Buffer.alloc(0);
    raw.socket.write(Buffer.concat([
      frame(10, 'unsolicited'), frame(1, 'one ', { fin: false }), frame(9, 'ping'), frame(0, 'two ', { fin: false }), frame(0, 'three'),
    ]));
    await eventually(() => raw.received.includes('one two three'));
    expect(raw.received.includes(Buffer.concat([Buffer.from([0x8a, 4]), Buffer.from('ping')]))).toBe(true);
    expect(await kept(key)).toEqual([{ type: 'websocket.receive', text: 'one two three' }]);
    raw.socket.destroy();
  });

  test('W-14 invalid UTF-8 closes with 1007, and the app hears it', async () => {
    const key = newKey();
    const raw = await rawSocket(handshake(`/echo?key=${key}`));
    await eventually(() => raw.received.includes('\r\n\r\n'));
    raw.received = Buffer.alloc(0);
    raw.socket.write(frame(1, Buffer.from([0xff, 0xfe])));
    await eventually(() => raw.received.length >= 4);
    expect(raw.received.readUInt16BE(2)).toBe(1007);
    raw.socket.destroy();
    expect((await keptAll(key, 1))[0]).toMatchObject({ type: 'websocket.disconnect', code: 1007 });
  });

  test('W-14 a message that is too large closes with 1009, and names the option', async () => {
    const small = await serve('websockets', { maxMessageBytes: 1000 });
    const key = newKey();
    const one = connect(`/echo?key=${key}`, { port: small.port });
    await one.opened;
    one.client.send('x'.repeat(1000));
    expect(await one.next()).toHaveLength(1000);
    one.client.send('x'.repeat(1001));
    expect((await one.closed)[0]).toBe(1009);
    expect((await keptAll(key, 2, small.handler))[1]).toMatchObject({ type: 'websocket.disconnect', code: 1009 });
    expect(small.warnings).toMatchObject([{ code: 'ERR_ASGI_MESSAGE_TOO_LARGE', message: expect.stringContaining('maxMessageBytes') }]);
  });

  test('W-15 W-16 W-18 X-05 wrong messages raise, and the socket goes on', async () => {
    const key = newKey();
    const one = connect(`/wrong?key=${key}`);
    expect(await one.closed).toEqual([1000, '']);
    expect(one.messages).toEqual([Buffer.from('still open'), Buffer.from('bytearray')]);
    const errors = await kept(key);
    expect(errors.slice(0, 6)).toEqual([
      ...Array(5).fill(expect.stringMatching(/^RuntimeError: send\(\): expected 'websocket.accept', 'websocket.close'/)),
      expect.stringMatching(/^ValueError: .*got 1005/),
    ]);
    expect(errors.slice(6, 14)).toEqual([
      expect.stringMatching(/^RuntimeError: send\(\): expected 'websocket.send' or 'websocket.close', got 'websocket.accept'/),
      expect.stringMatching(/^ValueError: .*got neither/), expect.stringMatching(/^ValueError: .*got both/),
      expect.stringMatching(/^ValueError: .*got neither/), expect.stringMatching(/^TypeError: .*text: expected str, got bytes/),
      expect.stringMatching(/^TypeError: .*bytes: expected bytes.*got str/), expect.stringMatching(/^UnicodeEncodeError/),
      expect.stringMatching(/^RuntimeError/),
    ]);
    expect(errors.slice(14)).toEqual([
      ...[1004, 1005, 1006, 1015, 999, 2999, 5000].map((code) => expect.stringMatching(new RegExp(`^ValueError: .*got ${code}`))),
      expect.stringMatching(/^TypeError: .*got bool/), expect.stringMatching(/^TypeError: .*got str/),
      expect.stringMatching(/^ValueError: .*at most 123 bytes.*got 124/),
    ]);
  });

  test('W-28 concurrent sends keep their boundaries', async () => {
    const one = connect('/concurrent');
    await one.closed;
    expect(one.messages).toHaveLength(50);
    for (const message of one.messages) expect(new Set(message.trim().split(' ')).size).toBe(1);
  });

  test('W-30 permessage-deflate is off by default and invisible when it is on', async () => {
    const plain = connect('/echo');
    await plain.opened;
    expect(plain.client.extensions).toBe('');
    const deflating = await serve('websockets', { perMessageDeflate: true });
    const one = connect('/echo', { port: deflating.port });
    await one.opened;
    expect(one.client.extensions).toContain('permessage-deflate');
    const text = 'compress me '.repeat(10_000);
    one.client.send(text);
    expect(await one.next()).toBe(text);
    one.client.close();
    plain.client.close();
  });
});

describe('close', () => {
  test.each([
    ['', 1000, ''], ['code=1001', 1001, ''], ['code=3000&reason=my+reason', 3000, 'my reason'], ['code=4999&reason=gr%C3%BCn', 4999, 'grün'],
    ['none=1', 1000, ''], [`reason=${'x'.repeat(123)}`, 1000, 'x'.repeat(123)],
  ])('W-17 W-22 W-23 the app closes with %s', async (search, code, reason) => {
    const key = newKey();
    const one = connect(`/closes?key=${key}&${search}`);
    expect(await one.closed).toEqual([code, reason]);
    expect(await keptAll(key, 4)).toEqual([
      { type: 'websocket.disconnect', code, reason }, expect.stringMatching(/^ClientDisconnected/), 'nothing',
      { type: 'websocket.disconnect', code, reason },
    ]);
  });

  test.each([[1000, 'done'], [3001, ''], [4321, 'grün 🐍']])('W-19 W-21 the client closes with %i %s', async (code, reason) => {
    const key = newKey();
    const one = connect(`/slow?key=${key}`);
    await one.opened;
    one.client.send('queued');
    one.client.close(code, reason);
    expect((await one.closed)[0]).toBe(code);
    expect(await keptAll(key, 1)).toEqual([[1, 6]]);
    const echo = connect(`/hears?key=${key}e`);
    await echo.opened;
    echo.client.send('first');
    echo.client.close(code, reason);
    expect(await keptAll(`${key}e`, 2)).toEqual([
      { type: 'websocket.receive', text: 'first' }, { type: 'websocket.disconnect', code, reason },
    ]);
  });

  test('W-20 no code is 1005, a lost socket 1006', async () => {
    const [without, lost] = [newKey(), newKey()];
    const one = connect(`/echo?key=${without}`);
    await one.opened;
    one.client.close();
    expect(await keptAll(without, 1)).toEqual([{ type: 'websocket.disconnect', code: 1005, reason: '' }]);
    const two = connect(`/echo?key=${lost}`);
    await two.opened;
    two.client.terminate();
    expect(await keptAll(lost, 1)).toEqual([{ type: 'websocket.disconnect', code: 1006, reason: '' }]);
  });

  test('W-23 send() to a client that has left raises an OSError, which nobody hears of', async () => {
    const key = newKey();
    const one = connect(`/sends?key=${key}`);
    await one.next();
    one.client.terminate();
    expect(await keptAll(key, 1)).toEqual(['ClientDisconnected']);
    await later(30);
    expect(app.errors).toEqual([]);
  });

  test('W-25 a return closes with 1000, an exception with 1011 and is reported', async () => {
    const returns = connect('/returns-open');
    expect(await returns.closed).toEqual([1000, '']);
    expect(returns.messages).toEqual(['last words']);
    const raises = connect('/raises-open');
    await raises.opened;
    raises.client.send('now');
    expect(await raises.closed).toEqual([1011, '']);
    expect(app.errors.splice(0)).toMatchObject([{ pythonType: 'RuntimeError', pythonMessage: 'while open' }]);
  });

  test('W-32 receive() after the disconnect repeats it', async () => {
    const key = newKey();
    const one = connect(`/repeats?key=${key}`);
    await one.opened;
    one.client.close(1000);
    expect(await keptAll(key, 1)).toEqual([{ type: 'websocket.disconnect', code: 1000, reason: '' }]);
  });

  test('W-26 close() of the handler: 1012 to the client and to the app', async () => {
    const other = await serve();
    const key = newKey();
    const one = connect(`/echo?key=${key}`, { port: other.port });
    await one.opened;
    const closing = other.handler.close();
    expect((await one.closed)[0]).toBe(1012);
    expect(await closing).toMatchObject({ cancelled: 0, timedOut: false });
    expect(await keptAll(key, 1)).toEqual([{ type: 'websocket.disconnect', code: 1012, reason: '' }]);
    const late = connect('/echo', { port: other.port });
    await late.refusal;
    expect(late.status).toBe(503);
  });

  test('W-31 an app that hangs after its client has left is cancelled by close()', async () => {
    const other = await serve();
    const one = connect('/hangs', { port: other.port });
    await one.opened;
    one.client.terminate();
    expect(await other.handler.close({ timeout: 400 })).toMatchObject({ cancelled: 1 });
  });
});

describe('denial response', () => {
  test('E-01 E-02 status, headers and a streamed body of the app\'s', async () => {
    const key = newKey();
    const one = connect(`/denies?key=${key}`);
    await one.refusal;
    expect([one.status, one.body]).toEqual([401, 'not for you']);
    expect(values(one.headers, 'set-cookie')).toEqual(['a=1', 'b=2']);
    expect(await keptAll(key, 5)).toEqual([
      true, expect.stringMatching(/^RuntimeError: .*expected 'websocket.http.response.body'/), expect.stringMatching(/^RuntimeError/),
      { type: 'websocket.disconnect', code: 1006, reason: '' }, expect.stringMatching(/^ClientDisconnected/),
    ]);
  });

  test('E-03 204 has no body, 1xx raises, an unfinished body is aborted', async () => {
    const none = connect('/denies?status=204');
    await none.refusal;
    expect([none.status, none.body]).toEqual([204, '']);
    const key = newKey();
    const bad = connect(`/denies-badly?key=${key}`);
    await bad.refusal;
    expect(bad.errors).toMatchObject([{ code: 'ECONNRESET' }]);
    expect([bad.status, bad.body]).toEqual([400, 'half']);
    expect(await kept(key)).toEqual([expect.stringMatching(/^ValueError: .*200 to 599, got 101/)]);
    expect(app.errors.splice(0)).toMatchObject([{ code: 'ERR_ASGI_INCOMPLETE_RESPONSE' }]);
  });
});

describe('flow', () => {
  test('W-27 an app that does not receive pauses the socket', async () => {
    const key = newKey();
    const one = connect(`/slow?key=${key}&pause=0.02`);
    await one.opened;
    for (let n = 0; n < 200; n += 1) one.client.send(Buffer.alloc(100_000));
    await later(100);
    // 20 MB cannot be in the window of 64 KiB and the buffers of the kernel.
    expect(one.client.bufferedAmount).toBeGreaterThan(5_000_000);
    one.client.terminate();
  });

  test('W-27 20 MB to an app that reads slowly all arrive, in order', async () => {
    const key = newKey();
    const one = connect(`/slow?key=${key}&pause=0.0005`);
    await one.opened;
    for (let n = 0; n < 200; n += 1) one.client.send(Buffer.alloc(100_000));
    one.client.send('how many');
    expect(await one.next()).toBe('201');
    one.client.close();
    expect(await keptAll(key, 1)).toEqual([[201, 20_000_008]]);
  });

  test('W-27 send() waits for a client that does not read', async () => {
    const key = newKey();
    const raw = await rawSocket(handshake(`/floods?key=${key}&count=10000`));
    await eventually(() => raw.received.length > 1000);
    raw.socket.pause();
    await later(300);
    const [before] = await kept(key);
    await later(200);
    const [after] = await kept(key);
    expect(after).toBe(before);
    expect(after).toBeLessThan(5000);
    raw.socket.destroy();
  });

  test('W-13 a peer that answers no ping is disconnected', async () => {
    const pinging = await serve('websockets', { pingInterval: 100, pingTimeout: 100 });
    const [dead, living] = [newKey(), newKey()];
    const raw = await rawSocket(handshake(`/echo?key=${dead}`), pinging.port);
    const one = connect(`/echo?key=${living}`, { port: pinging.port });
    await one.opened;
    expect(await keptAll(dead, 1, pinging.handler)).toEqual([{ type: 'websocket.disconnect', code: 1006, reason: '' }]);
    await eventually(() => raw.ended);
    await later(300);
    expect(one.client.readyState).toBe(WebSocket.OPEN);
    one.client.close();
  });
});

describe('many', () => {
  const phases = ['/echo', '/waits', '/rejects', '/raises-early', '/sends', '/denies', '/raises-open', '/closes', '/hangs-not', '/floods'];

  test('1,000 sockets opened and dropped in every phase leave no app, no exchange and no handle', async () => {
    const other = await serve();
    const sockets = () => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
    const before = sockets();
    for (let round = 0; round < 20; round += 1) {
      await Promise.all(Array.from({ length: 50 }, async (_, n) => {
        const target = phases[n % phases.length];
        const raw = await rawSocket(handshake(`${target}?key=dropped&count=10`), other.port);
        if (n % 3 > 0) await later(n);
        if (n % 3 > 1) raw.socket.write(frame(1, 'a message'));
        raw.socket.destroy();
      }));
    }
    await eventually(() => other.handler.stats().inFlight === 0);
    await eventually(() => sockets() <= before);
    await eventually(async () => (await other.handler.handleRequest({ url: '/live' })).json().apps <= 1);
    const one = connect('/echo', { port: other.port });
    await one.opened;
    one.client.send('still here');
    expect(await one.next()).toBe('still here');
    one.client.close();
  });

  test('300 at once, and none disturbs another', async () => {
    const clients = await Promise.all(Array.from({ length: 300 }, async () => { const one = connect('/echo'); await one.opened; return one; }));
    const bad = await rawSocket(Buffer.concat([Buffer.from(handshake('/echo')), Buffer.from([0xff, 0xff, 0xff, 0xff])]));
    clients.forEach((one, n) => one.client.send(`message ${n}`));
    expect(await Promise.all(clients.map((one) => one.next()))).toEqual(clients.map((_, n) => `message ${n}`));
    for (const one of clients) one.client.close();
    await Promise.all(clients.map((one) => one.closed));
    bad.socket.destroy();
  });
});

describe('attach()', () => {
  test('S-14 with a path: only what is below it, with that root_path', async () => {
    const mounted = await serve('websockets', {}, { path: '/api/' });
    const one = connect('/api/scope', { port: mounted.port });
    expect(JSON.parse(await one.next())).toMatchObject({ path: '/api/scope', root_path: '/api', raw_path: '/api/scope' });
    const other = connect('/apis/scope', { port: mounted.port });
    await other.refusal;
    expect(other.status).toBe(404);
  });

  test('S-25 state of the lifespan is there too', async () => {
    const { handler } = open('lifespan_state');
    expect(handler.webSocket('/').readyState).toBe(0);
  });
});

describe.each(['attach()', "the event 'stream'"])('over HTTP/2 (RFC 8441), by %s', (way) => {
  let session;
  beforeAll(async () => {
    const server = http2.createServer({ settings: { enableConnectProtocol: true } });
    if (way === 'attach()') app.handler.attach(server.on('request', app.handler.listener()));
    else server.on('stream', app.handler.listener());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    session = http2.connect(`http://127.0.0.1:${server.address().port}`);
    await once(session, 'remoteSettings');
    servers.push({ close: () => { session.destroy(); server.close(); }, closeAllConnections: () => {} });
  });

  /** The stream of an extended CONNECT as a `ws` client. */
  async function connectH2(target, headers = {}) {
    const stream = session.request({
      ':method': 'CONNECT', ':protocol': 'websocket', ':path': target, ':scheme': 'http', 'sec-websocket-version': '13', ...headers,
    });
    const [fields] = await once(stream, 'response');
    if (fields[':status'] !== 200) {
      let body = '';
      for await (const part of stream.setEncoding('utf8')) body += part;
      return { fields, body };
    }
    const messages = [];
    let rest = Buffer.alloc(0);
    stream.on('data', (data) => {
      rest = Buffer.concat([rest, data]);
      while (rest.length >= 2 && rest.length >= 2 + rest[1]) {
        messages.push([rest[0] & 15, rest.subarray(2, 2 + rest[1]).toString()]);
        rest = rest.subarray(2 + rest[1]);
      }
    });
    return { fields, stream, messages };
  }

  test('W-29 http_version 2, no method; messages and subprotocol', async () => {
    const one = await connectH2('/subprotocol?key=unused', { 'sec-websocket-protocol': 'a, b' });
    expect(one.fields['sec-websocket-protocol']).toBe('b');
    const echo = await connectH2('/echo');
    echo.stream.write(frame(1, 'over HTTP/2'));
    await eventually(() => echo.messages.length === 1);
    expect(echo.messages).toEqual([[1, 'over HTTP/2']]);
    echo.stream.write(frame(8, Buffer.from([0x03, 0xe8])));
    await eventually(() => echo.messages.length === 2);
    expect(echo.messages[1][0]).toBe(8);
  });

  test('W-07 E-01 refusals are responses', async () => {
    expect(await connectH2('/rejects')).toMatchObject({ fields: { ':status': 403 }, body: 'Forbidden' });
    expect(await connectH2('/denies')).toMatchObject({ fields: { ':status': 401, 'set-cookie': ['a=1', 'b=2'] }, body: 'not for you' });
  });

  test('W-20 a reset stream is a lost socket', async () => {
    const key = newKey();
    const one = await connectH2(`/hears?key=${key}`);
    one.stream.close(http2.constants.NGHTTP2_CANCEL);
    expect(await keptAll(key, 1)).toEqual([{ type: 'websocket.disconnect', code: 1006, reason: '' }]);
  });
});

describe('webSocket(), without a socket', () => {
  const happened = (socket, type) => new Promise((resolve) => { socket.addEventListener(type, resolve, { once: true }); });

  test('has the WHATWG interface', async () => {
    const socket = app.handler.webSocket({ url: 'ws://example.test/subprotocol?key=unused', protocols: ['a', 'b'] });
    expect([socket.readyState, socket.CONNECTING, socket.url]).toEqual([0, 0, 'ws://example.test/subprotocol?key=unused']);
    expect(() => socket.send('early')).toThrow(/not accepted/);
    await happened(socket, 'open');
    expect([socket.readyState, socket.protocol]).toEqual([1, 'b']);
    const closed = await happened(socket, 'close');
    expect(closed).toMatchObject({ code: 1000, reason: '', wasClean: true });
    expect(socket.readyState).toBe(3);
  });

  test('messages of both kinds, both ways', async () => {
    const key = newKey();
    const socket = app.handler.webSocket(`/echo?key=${key}`);
    const messages = [];
    socket.onmessage = ({ data }) => messages.push(data);
    socket.binaryType = 'nodebuffer';
    await happened(socket, 'open');
    socket.send('text');
    socket.send(Buffer.from([1, 2]));
    socket.send(new Blob(['blob']));
    socket.send('after the blob');
    await eventually(() => messages.length === 4);
    expect(messages).toEqual(['text', Buffer.from([1, 2]), Buffer.from('blob'), 'after the blob']);
    socket.binaryType = 'arraybuffer';
    socket.send(new Uint8Array([3]));
    await eventually(() => messages.length === 5);
    expect(new Uint8Array(messages[4])).toEqual(new Uint8Array([3]));
    expect(() => socket.close(1001)).toThrow(/1000 or 3000/);
    expect(() => socket.close(1000, 'x'.repeat(124))).toThrow(/123 bytes/);
    socket.close(3333, 'enough');
    expect(await happened(socket, 'close')).toMatchObject({ code: 3333, reason: 'enough' });
    expect((await keptAll(key, 6)).at(-1)).toEqual({ type: 'websocket.disconnect', code: 3333, reason: 'enough' });
  });

  test.each([['/rejects', 403], ['/denies', 401]])('%s is an error with the status', async (target, status) => {
    const socket = app.handler.webSocket(target);
    const [error, close] = await Promise.all([happened(socket, 'error'), happened(socket, 'close')]);
    expect(error.error).toMatchObject({ code: 'ERR_ASGI_WEBSOCKET_REFUSED', response: { status } });
    expect(close.code).toBe(1006);
  });

  test('an exception is the error', async () => {
    const socket = app.handler.webSocket('/raises-early');
    expect((await happened(socket, 'error')).error).toMatchObject({ pythonType: 'RuntimeError' });
  });

  test('backpressure: bufferedAmount grows while the app does not receive', async () => {
    const socket = app.handler.webSocket('/slow?pause=0.05&key=unused');
    await happened(socket, 'open');
    for (let n = 0; n < 110; n += 1) socket.send(Buffer.alloc(10_000));
    expect(socket.bufferedAmount).toBeGreaterThan(800_000);
    socket.onmessage = null;
    await later(20);
    app.handler.stats();
    socket.close();
  });
});
