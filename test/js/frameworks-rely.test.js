'use strict';

/** What frameworks rely on beyond the text of the specification: lines F- of the ASGI checklist, with the real ones. */

const { spawn } = require('node:child_process');
const { createHash, randomBytes } = require('node:crypto');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');

const { WebSocket } = require('ws');

const { Child } = require('../helpers/child');
const { coreApps, eventually, jsonOf, later } = require('../helpers/core-apps');
const { chunkBytes, fetchRaw, headerValues, RawConnection, requestBytes } = require('../helpers/raw-http');
const { serveExpress } = require('../helpers/servers');
const { venvPython } = require('../../scripts/setup');

const docroot = path.resolve(__dirname, '../../fixtures/conformance');
const { open: openApp, serve: serveApp, closeLater } = coreApps();
const open = (target, options) => openApp(target, { docroot, python: venvPython, ...options });

const newKey = () => crypto.randomUUID();

/** Behind node:http, with WebSockets. */
async function serve(target, options) {
  const app = await serveApp(target, { docroot, python: venvPython, ...options });
  app.handler.attach(app.server);
  return app;
}

/** Sends a request, leaves when `ready` says so, by default with the first bytes of the answer. */
async function leave(app, target, ready) {
  const connection = await RawConnection.open(app.port);
  const first = new Promise((resolve) => {
    connection.write(requestBytes({ target }));
    if (!ready) connection.readResponse({ onData: resolve }).catch(() => {});
  });
  await (ready ? eventually(ready) : first);
  connection.reset();
}

/** A client of WebSockets with the texts it has got. */
async function connect(app, target) {
  const client = new WebSocket(`ws://127.0.0.1:${app.port}${target}`);
  const messages = [];
  client.on('message', (data, binary) => messages.push(binary ? data : data.toString()));
  const closed = new Promise((resolve) => { client.on('close', (code, reason) => resolve([code, reason.toString()])); });
  await once(client, 'open');
  return { client, messages, closed };
}

describe('anyio, Starlette and FastAPI', () => {
  let app;
  beforeAll(async () => { app = await serve('rely_starlette', { lifespan: 'auto' }); });
  afterEach(() => { expect(app.errors).toEqual([]); });

  const told = (key) => app.fetchJson(`/seen?key=${key}`);
  const becomes = (key, value) => eventually(async () => (await told(key)) === value);

  test('F-01 cancel scopes, task groups and timeouts find a real task', async () => {
    const { asyncio: newer, ...facts } = await app.fetchJson('/task');
    expect(facts).toEqual({
      task: '_asyncio', library: 'asyncio', same: true, moved_on: true, failed: true, ran: [0, 1, 2],
    });
    expect([undefined, [0, 1, 2]]).toContainEqual(newer);
  });

  test('F-02 requests to a synchronous endpoint share one worker thread', async () => {
    const threads = new Set();
    for (let round = 0; round < 8; round += 1) threads.add(String(await app.fetchJson('/thread')));
    expect(threads.size).toBe(1);
    expect([...threads][0]).toMatch(/^\d+,AnyIO worker thread/);
  });

  test('F-03 the running loop reads descriptors, runs threads, connects, and starts processes beside those of Node', async () => {
    const child = spawn('/bin/sh', ['-c', 'exit 5']);
    const ended = once(child, 'close');
    const facts = await app.fetchJson(`/loop?port=${app.port}`);
    expect(facts).toEqual({ executor: true, connection: 'HTTP/1.1 200 OK', subprocess: ['through a child', 3] });
    expect((await ended)[0]).toBe(5);
  });

  test('F-04 each request has a fresh context, which its stream and its background task share', async () => {
    for (let round = 0; round < 3; round += 1) {
      const key = newKey();
      const response = await app.fetch(`/context?key=${key}`);
      expect(response.body.toString()).toBe('nobody+/context,nobody+/context');
      expect(await eventually(() => told(key))).toEqual(Array(3).fill('nobody+/context'));
    }
  });

  test.each(['2.5', '2.3'])('F-05 with spec version %s a StreamingResponse ends when its client leaves', async (specVersion) => {
    const other = await serve('rely_starlette', { specVersion });
    const key = newKey();
    await leave(other, `/layered/ticks?key=${key}`);
    await becomes(key, 'closed');
  });

  test('F-06 request.is_disconnected() before the body takes nothing from it', async () => {
    const key = newKey();
    const connection = await RawConnection.open(app.port);
    await connection.write(`POST /polls?key=${key} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`);
    await becomes(key, 'polled');
    for (const piece of ['one,', 'two']) await connection.write(chunkBytes(piece));
    await connection.write('0\r\n\r\n');
    expect(jsonOf(await connection.readResponse())).toEqual({ left: false, body: 'one,two' });
    connection.destroy();
  });

  test('F-06 request.is_disconnected() becomes true when the client has left', async () => {
    const key = newKey();
    await leave(app, `/polls-until-left?key=${key}`, async () => (await told(key)) === 'polling');
    await becomes(key, 'left');
  });

  test('F-07 three layers of BaseHTTPMiddleware pass bodies of both directions', async () => {
    const body = randomBytes(500_000);
    const connection = await RawConnection.open(app.port);
    for (let round = 0; round < 2; round += 1) {
      await connection.write(requestBytes({ method: 'POST', target: '/layered/echo', body }));
      const response = await connection.readResponse();
      expect([response.body.equals(body), headerValues(response, 'x-passed')]).toEqual([true, ['3']]);
    }
    connection.destroy();
  });

  test('F-07 and end a stream whose client has left', async () => {
    const key = newKey();
    await leave(app, `/layered/ticks?key=${key}`);
    await becomes(key, 'closed');
    await eventually(async () => app.handler.stats().inFlight === 0);
  });

  test('F-12 path begins with root_path in every mounted app, as the router of Django Channels demands', async () => {
    expect(await app.fetchJson('/one/two/address')).toEqual(['/one/two', '/one/two/address']);
    const express = closeLater(await serveExpress(app.handler, { mount: '/outer' }));
    const response = await fetchRaw(express.port, { target: '/outer/one/two/address' });
    expect(jsonOf(response)).toEqual(['/outer/one/two', '/outer/one/two/address']);
  });

  test('F-15 the state that a lifespan yields is request.state', async () => {
    const { handler } = open('rely_starlette:stateful', { lifespan: 'on' });
    expect((await handler.handleRequest({ url: '/' })).json()).toBe('made at startup');
  });

  test('F-15 a lifespan that fails tells its traceback', async () => {
    const { handler } = open('rely_starlette:fails');
    await expect(handler.ready()).rejects.toMatchObject({
      code: 'ERR_ASGI_STARTUP', message: expect.stringMatching(/rely_starlette\.py[^]*ConnectionRefusedError: the pool of connections/),
    });
  });

  test('F-16 twenty synchronous endpoints run at the same time', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => app.fetch('/meets')));
    expect(new Set(answers.map((answer) => answer.body.toString()))).toEqual(new Set(['met']));
  });

  test('F-16 a thread runs Python while the loop waits in receive()', async () => {
    const connection = await RawConnection.open(app.port);
    await connection.write('POST /works-beside HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n');
    await later(200);
    await connection.write('body');
    const { counts, body } = jsonOf(await connection.readResponse());
    expect(body).toBe('body');
    expect(counts).toBeGreaterThan(10);
    connection.destroy();
  });

  test('F-17 a background task runs on while its client has the answer and asks again on the same connection', async () => {
    const key = newKey();
    const connection = await RawConnection.open(app.port);
    await connection.write(requestBytes({ target: `/background?key=${key}` }));
    expect((await connection.readResponse()).body.toString()).toBe('answered');
    await connection.write(requestBytes({ target: `/go?key=${key}` }));
    expect(jsonOf(await connection.readResponse())).toBe('started');
    connection.destroy();
    await becomes(key, 'finished');
  });

  test('F-17 close() waits for a background task', async () => {
    const other = await serve('rely_starlette');
    const key = newKey();
    await other.fetch(`/short-background?key=${key}`);
    expect(await other.handler.close()).toMatchObject({ drained: 1, cancelled: 0, timedOut: false });
    expect(await told(key)).toBe('finished');
  });

  test('F-18 a send to a WebSocket whose client has left is WebSocketDisconnect 1006', async () => {
    const key = newKey();
    const { client, messages } = await connect(app, `/sends-until-gone?key=${key}`);
    await eventually(() => messages.length > 0);
    client.terminate();
    await becomes(key, 1006);
  });

  test('F-18 receive_text() and receive_bytes() find their keys, and a close its code and reason', async () => {
    const key = newKey();
    const { client, messages, closed } = await connect(app, `/echoes?key=${key}`);
    client.send('text');
    client.send(Buffer.from('bytes'));
    await eventually(() => messages.length === 2);
    expect(messages).toEqual(['text!', Buffer.from('bytes!')]);
    client.close(4002, 'bye');
    await closed;
    expect(await eventually(() => told(key))).toEqual([4002, 'bye']);
  });

  test('F-18 a denial response is the answer to the handshake', async () => {
    const client = new WebSocket(`ws://127.0.0.1:${app.port}/denies`);
    client.on('error', () => {});
    const [, response] = await once(client, 'unexpected-response');
    let text = '';
    for await (const piece of response) text += piece;
    expect([response.statusCode, response.headers['x-denied'], JSON.parse(text)]).toEqual([418, '1', { why: 'not you' }]);
  });

  test('F-19 middleware that changes the headers of the start does so once for each response', async () => {
    const connection = await RawConnection.open(app.port);
    let cookie = '';
    for (const visit of [1, 2, 3]) {
      const headers = [['Accept-Encoding', 'gzip'], ['Origin', 'http://other.test'], ['Cookie', cookie]];
      await connection.write(requestBytes({ target: '/wrapped/visits', headers }));
      const response = await connection.readResponse();
      const text = require('node:zlib').gunzipSync(response.body).toString();
      expect(text.slice(0, 8)).toBe(`visit ${visit} `);
      expect(headerValues(response, 'content-encoding')).toEqual(['gzip']);
      expect(headerValues(response, 'access-control-allow-origin')).toEqual(['http://other.test']);
      expect(headerValues(response, 'set-cookie')).toHaveLength(1);
      expect(headerValues(response, 'vary').join().match(/Accept-Encoding/gi)).toHaveLength(1);
      cookie = headerValues(response, 'set-cookie')[0].split(';')[0];
    }
    connection.destroy();
  });

  test('F-20 a stream of events pings while it is idle, and ends all its tasks when the client leaves', async () => {
    const key = newKey();
    const connection = await RawConnection.open(app.port);
    await connection.write(requestBytes({ target: `/events?key=${key}` }));
    let text = '';
    connection.readResponse({ onData: (data) => { text += data; } }).catch(() => {});
    await eventually(() => text.includes('last'));
    expect(text).toMatch(/^data: first\n\n(: ping\n\n){2,}data: last\n\n/);
    expect(await told(key)).toBeNull();
    const left = Date.now();
    connection.reset();
    const ended = await eventually(() => told(key));
    expect(ended - left).toBeLessThan(100);
  });

  test('F-23 an uploaded file is spooled to disk in threads and read from there', async () => {
    const uploads = await serve('rely_starlette:uploads');
    const file = randomBytes(3_000_000);
    const head = '--x\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n';
    const response = await uploads.fetchJson({
      method: 'POST', headers: [['Content-Type', 'multipart/form-data; boundary=x']],
      body: Buffer.concat([Buffer.from(head), file, Buffer.from('\r\n--x--\r\n')]),
    });
    const sha256 = createHash('sha256').update(file).digest('hex');
    expect(response).toEqual({ sha256, on_disk: true, size: file.length, thread: true });
  });
});

describe('Django and asgiref', () => {
  let app;
  beforeAll(async () => { app = await serve('rely_django'); });
  afterEach(() => { expect(app.errors).toEqual([]); });

  test('F-08 the listener beside a view hears nothing but the disconnect; large bodies and cookies arrive', async () => {
    const body = randomBytes(300_000);
    const response = await app.fetch({ method: 'POST', target: '/large', body });
    expect(response.status).toBe(200);
    expect(response.body.equals(Buffer.concat([body, body]))).toBe(true);
    expect(headerValues(response, 'set-cookie').map((cookie) => cookie.split(';')[0])).toEqual(['first=1', 'second=2']);
  });

  test('F-08 a view whose client leaves is cancelled', async () => {
    const key = newKey();
    const told = () => app.fetchJson(`/seen?key=${key}`);
    await leave(app, `/waits?key=${key}`, async () => (await told()) === 'waiting');
    await eventually(async () => (await told()) === 'cancelled');
  });

  test('F-09 async_to_sync() in a thread and sync_to_async() inside it come back, many at once', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => app.fetchJson('/to-and-fro')));
    expect(answers).toEqual(Array(20).fill({ apart: true, same: true }));
  });

  test('F-09 even while the thread of JavaScript waits', () => {
    expect(app.handler.handleRequestSync({ url: '/to-and-fro' }, { timeout: 10_000 }).json()).toEqual({ apart: true, same: true });
  });

  test('F-10 the ends of a connection and the query, over TCP, over a unix socket and without one', async () => {
    const headers = [['X-Latin', 'caf\xe9']];
    const overTcp = await app.fetchJson({ target: '/meta?a=%C3%A9&b', headers });
    expect(overTcp).toMatchObject({
      SERVER_NAME: '127.0.0.1', SERVER_PORT: String(app.port), REMOTE_ADDR: '127.0.0.1', QUERY_STRING: 'a=%C3%A9&b',
      HTTP_X_LATIN: 'caf\xe9',
    });
    expect(overTcp.REMOTE_PORT).toBeGreaterThan(0);

    const place = path.join(os.tmpdir(), `node-asgi-${newKey()}.sock`);
    const server = http.createServer(app.handler.listener()).listen(place);
    closeLater({ close: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }) });
    await once(server, 'listening');
    const [response] = await once(http.get({ socketPath: place, path: '/meta', agent: false }), 'response');
    let text = '';
    for await (const piece of response) text += piece;
    expect(JSON.parse(text)).toMatchObject({ SERVER_NAME: place, REMOTE_ADDR: null });
    fs.rmSync(place, { force: true });

    const inProcess = (await app.handler.handleRequest({ url: '/meta' })).json();
    expect(inProcess).toMatchObject({ SERVER_NAME: 'unknown', SERVER_PORT: '0', REMOTE_ADDR: null });
  });

  test('F-10 its refusal of the lifespan scope is no failure', async () => {
    const { handler } = open('rely_django', { lifespan: 'auto' });
    await handler.ready();
    expect(await handler.close()).toMatchObject({ lifespan: 'unsupported' });
  });
});

describe('Django Channels, by its way of calling', () => {
  test('F-11 receive() raced against a channel layer loses nothing, and threads send', async () => {
    const app = await serve('rely_others:channels');
    const key = newKey();
    const { client, messages, closed } = await connect(app, `/?${key}`);
    const numbers = Array.from({ length: 50 }, (_, number) => number);
    for (const number of numbers) client.send(String(number));
    await eventually(() => messages.length === 100);
    for (const kind of ['echo', 'layer']) {
      expect(messages.filter((text) => text.startsWith(kind))).toEqual(numbers.map((number) => `${kind} ${number}`));
    }
    client.close(4003);
    await closed;
    await eventually(async () => (await app.fetch(`/?${key}`)).body.toString() === '4003');
    expect(app.errors).toEqual([]);
  });
});

describe('Quart', () => {
  let app;
  beforeAll(async () => { app = await serve('rely_others:quart'); });
  afterEach(() => { expect(app.errors).toEqual([]); });

  test('F-13 receive() neither returns nor raises while the handler still works', async () => {
    const express = closeLater(await serveExpress(app.handler, { mount: '/mount' }));
    const response = await fetchRaw(express.port, { method: 'POST', target: '/mount/slow', body: Buffer.alloc(200_000) });
    expect(jsonOf(response)).toEqual({ size: 200_000, path: '/slow', root_path: '/mount' });
  });

  test('F-13 a handler whose client leaves is cancelled', async () => {
    const key = newKey();
    const told = async () => (await app.fetchJson(`/seen?key=${key}`)).seen;
    await leave(app, `/waits?key=${key}`, async () => (await told()) === 'waiting');
    await eventually(async () => (await told()) === 'cancelled');
  });

  test('F-13 a WebSocket with headers of accept, messages of both kinds, and a close with a reason', async () => {
    const client = new WebSocket(`ws://127.0.0.1:${app.port}/echo`);
    const messages = [];
    client.on('message', (data, binary) => messages.push(binary ? data : data.toString()));
    client.once('open', () => {
      client.send('text');
      client.send(Buffer.from('bytes'));
    });
    const [response] = await once(client, 'upgrade');
    expect(response.headers['x-accepted']).toBe('1');
    const [code, reason] = await once(client, 'close');
    expect([messages, code, reason.toString()]).toEqual([['text', Buffer.from('bytes')], 4001, 'enough']);
  });
});

describe('Litestar', () => {
  let app;
  beforeAll(async () => { app = await serve('rely_others:litestar'); });
  afterEach(() => { expect(app.errors).toEqual([]); });

  test.each(['ticks', 'idle'])('F-14 a stream (%s) ends when its client leaves', async (name) => {
    const key = newKey();
    await leave(app, `/${name}?key=${key}`);
    await eventually(async () => (await app.fetchJson(`/seen?key=${key}`)).seen === 'closed');
  });

  test('F-14 a route below a mount, in a thread', async () => {
    const express = closeLater(await serveExpress(app.handler, { mount: '/mount' }));
    expect(jsonOf(await fetchRaw(express.port, { target: '/mount/route' })))
      .toEqual({ path: '/route', root_path: '/mount', thread: true }); // Litestar takes the root_path off itself
  });
});

describe('what apps do when they are imported', () => {
  // A process of its own: the app changes what belongs to the whole process.
  const SCRIPT = `
    const { PythonHandler } = require(${JSON.stringify(path.resolve(__dirname, '../..'))});
    const handler = new PythonHandler({
      docroot: ${JSON.stringify(docroot)}, target: 'rely_imports:app', python: ${JSON.stringify(venvPython)}, lifespan: 'on',
    });
    (async () => {
      await handler.ready();
      const answers = await Promise.all([1, 2, 3].map(() => handler.handleRequest({ url: '/' })));
      await handler.close();
      console.log(JSON.stringify(answers.at(-1).json()));
    })();
  `;
  let facts;
  beforeAll(async () => {
    const child = new Child(['-e', SCRIPT]);
    const ending = await child.ended(20_000);
    expect(ending).toEqual({ code: 0, signal: null });
    // Those of faulthandler and of the app, which are Node's all the same.
    const notices = child.stderr.trimEnd().split('\n');
    for (const line of notices) expect(line).toMatch(/^ERR_PYTHON_SIGNAL_HANDLER: the app set a handler for .* given back to Node$/);
    for (const number of [11, 12, 15]) expect(notices.filter((line) => line.includes(`(signal ${number})`))).toHaveLength(1);
    facts = JSON.parse(child.stdout);
  });

  test('F-21 logging, warnings, hooks, faulthandler and signals do not keep an app from starting', () => {
    expect(facts.events.at(-1)).toBe('signal in startup done');
    expect(facts.events[0]).toMatch(/^signal at import/);
  });

  test('F-22 the module is imported on the thread of the loop, whose locks work, and not run as a program', () => {
    expect(facts).toMatchObject({ thread: true, loop: true, name: 'rely_imports', most: 1 });
  });
});
