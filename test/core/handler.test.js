'use strict';

/** The calls of PythonHandler, without a socket; its limits also over one. */

const { spawnSync } = require('node:child_process');
const crypto = require('node:crypto');
const { getEventListeners } = require('node:events');
const path = require('node:path');
const { Readable } = require('node:stream');
const { pipeline } = require('node:stream/promises');

const { Headers, PythonHandler, Request, Response, ResponseStream } = require('../..');
const { CORE, coreApps, eventually, jsonOf, later } = require('../helpers/core-apps');
const { chunkBytes, fetchRaw, headerValues, RawConnection, requestBytes } = require('../helpers/raw-http');

const { open, serve } = coreApps();
const sha256 = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex');
const PATTERN = Buffer.alloc(5 * 1024 * 1024, Buffer.from(Array.from({ length: 251 }, (_, n) => n)));
const rejection = (promise) => promise.then(() => { throw new Error('did not reject'); }, (error) => error);

const handlers = {};
beforeAll(async () => {
  const names = ['echo', 'hello', 'upload_sink', 'stream', 'gated_stream', 'slow', 'disconnect', 'error_after_start', 'error_before_start',
    'scope_dump', 'together', 'rules', 'response_headers', 'blocking'];
  for (const name of names) handlers[name] = open(name).handler;
  await Promise.all(names.map((name) => handlers[name].ready()));
});

describe('handleRequest', () => {
  test('answers with a Response', async () => {
    const response = await handlers.hello.handleRequest({ url: '/' });
    expect(response).toBeInstanceOf(Response);
    expect(response.headers).toBeInstanceOf(Headers);
    expect(Buffer.isBuffer(response.body)).toBe(true);
    expect(response.toJSON()).toEqual({
      status: 200, headers: { 'content-type': 'text/plain', 'content-length': '13' }, body: 'Hello, world!',
    });
  });

  const bodies = [
    ['a string', () => 'grün'], ['a Buffer', () => Buffer.from('grün')], ['a typed array', () => new TextEncoder().encode('grün')],
    ['a view of other elements', () => new Uint16Array(new Uint8Array(Buffer.from('grün!')).buffer)],
    ['an ArrayBuffer', () => new TextEncoder().encode('grün').buffer], ['a Readable', () => Readable.from([Buffer.from('gr'), 'ün'])],
    ['an async generator', () => (async function* pieces() { yield 'gr'; await later(5); yield Buffer.from('ün'); }())],
    ['a web stream', () => new Blob(['grün']).stream()],
  ];
  test.each(bodies)('takes %s as a body', async (_, make) => {
    const response = await handlers.echo.handleRequest({ method: 'POST', url: '/', body: make() });
    expect(response.text().replace('!', '')).toBe('grün');
    const request = new Request({ method: 'PUT', url: '/', body: make() });
    expect((await handlers.upload_sink.handleRequest(request)).json().size).toBeGreaterThanOrEqual(5);
  });

  test('a whole body gets a content-length, a stream does not, and one that is there stays', async () => {
    const lengths = async (request) => (await handlers.scope_dump.handleRequest({ method: 'POST', url: '/', ...request }))
      .json().scope.headers.filter(([name]) => name === 'content-length').map(([, value]) => value);
    expect(await lengths({ body: 'grün' })).toEqual(['5']);
    expect(await lengths({ body: Readable.from(['a']) })).toEqual([]);
    expect(await lengths({ body: 'abc', headers: { 'Content-Length': '3' } })).toEqual(['3']);
    expect(await lengths({})).toEqual([]);
  });

  test('5 MB go up, whole and as a stream', async () => {
    const pieces = Array.from({ length: 80 }, (_, n) => PATTERN.subarray(n * 65536, (n + 1) * 65536));
    for (const body of [PATTERN, Readable.from(pieces)]) {
      const { size, sha256: digest } = (await handlers.upload_sink.handleRequest({ method: 'POST', url: '/', body })).json();
      expect([size, digest]).toEqual([PATTERN.length, sha256(PATTERN)]);
    }
  });

  test('5 MB come down', async () => {
    const { body } = await handlers.stream.handleRequest({ url: '/?count=80&size=65536' });
    const expected = Buffer.concat(Array.from({ length: 80 }, (_, n) => Buffer.alloc(65536, n)));
    expect(sha256(body)).toBe(sha256(expected));
  });

  test('5 MB go up and come back at once, over a socket', async () => {
    const { fetch } = await serve('echo');
    const chunks = Array.from({ length: 80 }, (_, n) => PATTERN.subarray(n * 65536, (n + 1) * 65536));
    const response = await fetch({ method: 'POST', body: chunks });
    expect(sha256(response.body)).toBe(sha256(PATTERN));
  });

  test('a body that fails is the caller\'s error, and the app sees its client leave', async () => {
    const body = (async function* pieces() {
      yield 'some';
      await later(20);
      throw new RangeError('the file is gone');
    }());
    await handlers.disconnect.handleRequest({ url: '/forget' });
    await expect(handlers.disconnect.handleRequest({ method: 'POST', url: '/wait', body })).rejects.toThrow('the file is gone');
    const records = await eventually(async () => {
      const all = (await handlers.disconnect.handleRequest({ url: '/records' })).json();
      return all.length === 3 && all;
    });
    expect(records[1]).toEqual(['http.disconnect', 4, false]);
  });

  test('a body of wrong chunks rejects', async () => {
    const body = Readable.from([1, 2]);
    await expect(handlers.echo.handleRequest({ method: 'POST', url: '/', body })).rejects.toMatchObject({
      code: 'ERR_ASGI_REQUEST', message: expect.stringContaining('got 1'),
    });
  });

  test('an answer to an unread body leaves the rest of the source alone', async () => {
    const body = Readable.from(Array.from({ length: 50 }, () => Buffer.alloc(65536)));
    const response = await handlers.upload_sink.handleRequest({ method: 'POST', url: '/ignore', body });
    expect(response.json()).toEqual({ ignored: true });
  });

  test('1,000 at once run together and are all answered', async () => {
    const answers = await Promise.all(Array.from({ length: 1000 }, () => handlers.together.handleRequest({ url: '/?together=1000' })));
    expect(answers.filter((answer) => answer.text() === 'together')).toHaveLength(1000);
    await eventually(() => handlers.together.stats().inFlight === 0);
    expect(handlers.together.stats()).toMatchObject({ total: 1000, failed: 0, gilOnJsThread: 0 });
  });

  test('1,000 different ones get their own answers, again and again', async () => {
    const bodies = Array.from({ length: 1000 }, (_, n) => `body ${n}`);
    for (let round = 0; round < 20; round += 1) {
      const answers = await Promise.all(bodies.map((body) => handlers.echo.handleRequest({ method: 'POST', url: '/', body })));
      expect(answers.map((answer) => answer.text())).toEqual(bodies);
    }
  });
});

test('progress of both directions: events on the stream, bytes in stats()', async () => {
  const stream = await handlers.echo.handleStream({ method: 'POST', url: '/' }, { duplex: true });
  const seen = [];
  stream.on('progress', (progress) => seen.push(progress));
  stream.end(Buffer.alloc(1000));
  for await (const chunk of stream) expect(chunk).toBeInstanceOf(Buffer);
  expect(seen.at(-1)).toEqual({ sent: 1000, received: seen.at(-1).received });
  expect(seen.at(-1).received).toBeGreaterThan(0);
  expect(seen.every((one, n) => n === 0 || one.received >= seen[n - 1].received)).toBe(true);
  const before = handlers.echo.stats();
  await handlers.echo.handleRequest({ method: 'POST', url: '/', body: Buffer.alloc(200_000) });
  await handlers.echo.handleRequest({ method: 'POST', url: '/', body: Readable.from([Buffer.alloc(300)]) });
  const after = handlers.echo.stats();
  expect(after.bytesIn - before.bytesIn).toBe(200_300);
  expect(after.bytesOut - before.bytesOut).toBe(200_300);
});

test('stats().loopLag tells of an app that blocks the loop, while it does', async () => {
  const blocking = handlers.blocking.handleRequest({ url: '/?seconds=0.4' });
  await later(50);
  const other = handlers.blocking.handleRequest({ url: '/?seconds=0' });
  await later(150);
  expect(handlers.blocking.stats().loopLag).toBeGreaterThan(50);
  await Promise.all([blocking, other]);
  await handlers.blocking.handleRequest({ url: '/?seconds=0' });
  expect(handlers.blocking.stats().loopLag).toBeLessThan(50);
});

describe('handleStream', () => {
  test('answers at the start, and iterates over the pieces as they come', async () => {
    const stream = await handlers.gated_stream.handleStream({ url: '/' });
    expect(stream).toBeInstanceOf(ResponseStream);
    expect(stream.status).toBe(200);
    expect(stream.headers.get('content-type')).toBe('text/plain');
    const pieces = [];
    for await (const piece of stream) {
      pieces.push(piece.toString());
      if (pieces.length === 1) await handlers.gated_stream.handleRequest({ url: '/open' });
    }
    expect(pieces).toEqual(['first\n', 'last\n']);
  });

  test('next() gives each piece, then null', async () => {
    const stream = await handlers.gated_stream.handleStream({ url: '/' });
    const first = await stream.next();
    expect(Buffer.isBuffer(first)).toBe(true);
    expect(first.toString()).toBe('first\n');
    await handlers.gated_stream.handleRequest({ url: '/open' });
    expect((await stream.next()).toString()).toBe('last\n');
    expect(await stream.next()).toBeNull();
    expect(await stream.next()).toBeNull();
  });

  test('an answer in one piece, and one without a body', async () => {
    const hello = await handlers.hello.handleStream({ url: '/' });
    expect((await hello.toArray()).join('')).toBe('Hello, world!');
    const empty = await handlers.hello.handleStream({ method: 'HEAD', url: '/' });
    expect(await empty.next()).toBeNull();
  });

  test('5 MB come down whole, and a reader that waits stops the app', async () => {
    const { handler } = open('stream', { highWaterMark: 65536 });
    const stream = await handler.handleStream({ url: '/?count=640&size=8192' });
    await later(150);
    const before = Number((await handlers.stream.handleRequest({ url: '/sent' })).text());
    expect(before).toBeLessThan(100);
    const hash = crypto.createHash('sha256');
    await pipeline(stream, hash);
    const expected = Buffer.concat(Array.from({ length: 640 }, (_, n) => Buffer.alloc(8192, n % 256)));
    expect(hash.digest('hex')).toBe(sha256(expected));
  });

  test('destroy() tells the app that its client has left', async () => {
    await handlers.disconnect.handleRequest({ url: '/forget' });
    const stream = await handlers.disconnect.handleStream({ url: '/stream' });
    await stream.next();
    stream.destroy();
    const records = await eventually(async () => {
      const all = (await handlers.disconnect.handleRequest({ url: '/records' })).json();
      return all.length === 2 && all;
    });
    expect(records[1]).toEqual(['raised', 'ClientDisconnected', true]);
    await eventually(() => handlers.disconnect.stats().inFlight === 0);
  });

  test('leaving an iteration does the same', async () => {
    await handlers.disconnect.handleRequest({ url: '/forget' });
    for await (const piece of await handlers.disconnect.handleStream({ url: '/stream' })) {
      if (piece.length > 0) break;
    }
    await eventually(async () => (await handlers.disconnect.handleRequest({ url: '/records' })).json().length === 2);
  });

  test('an exception after the start ends it with the PythonError, never clean', async () => {
    const wanted = { code: 'ERR_PYTHON_EXCEPTION', pythonMessage: 'the second half is missing' };
    const iterated = await handlers.error_after_start.handleStream({ url: '/' });
    await expect((async () => { for await (const piece of iterated) piece.length; })()).rejects.toMatchObject(wanted);
    const stepped = await handlers.error_after_start.handleStream({ url: '/' });
    await expect((async () => { while (await stepped.next()); })()).rejects.toMatchObject(wanted);
    const piped = await handlers.error_after_start.handleStream({ url: '/' });
    await expect(pipeline(piped, async function* sink(source) { for await (const piece of source) yield piece; }, async (source) => {
      for await (const piece of source) piece.length;
    })).rejects.toMatchObject(wanted);
    const listened = await handlers.error_after_start.handleStream({ url: '/' });
    expect(await new Promise((resolve) => { listened.on('error', resolve).resume(); })).toMatchObject(wanted);
  });

  test('a failed stream that nobody reads does not end the process', async () => {
    await handlers.error_after_start.handleStream({ url: '/' });
    await later(30);
  });

  test('an exception before the start rejects', async () => {
    await expect(handlers.error_before_start.handleStream({ url: '/' })).rejects.toMatchObject({ pythonMessage: 'no coffee here' });
  });

  test('duplex: the request is written while the response is read', async () => {
    const stream = await handlers.echo.handleStream({ method: 'POST', url: '/' }, { duplex: true });
    for (const text of ['one', 'two', 'three']) {
      stream.write(text);
      expect((await stream.next()).toString()).toBe(text);
    }
    stream.end();
    expect(await stream.next()).toBeNull();
  });

  test('duplex: writing waits for an app that does not read', async () => {
    const stream = await handlers.gated_stream.handleStream({ method: 'POST', url: '/' }, { duplex: true });
    let accepted = 0;
    while (accepted < 100 && stream.write(Buffer.alloc(65536))) accepted += 1;
    expect(accepted).toBeLessThan(10);
    stream.destroy();
    await handlers.gated_stream.handleRequest({ url: '/open' });
  });

  test('5 MB go both ways at once', async () => {
    const stream = await handlers.echo.handleStream({ method: 'POST', url: '/' }, { duplex: true });
    const hash = crypto.createHash('sha256');
    await Promise.all([
      pipeline(Readable.from(Array.from({ length: 80 }, (_, n) => PATTERN.subarray(n * 65536, (n + 1) * 65536))), async (source) => {
        for await (const piece of source) if (!stream.write(piece)) await new Promise((resolve) => { stream.once('drain', resolve); });
        stream.end();
      }),
      (async () => { for await (const piece of stream) hash.update(piece); })(),
    ]);
    expect(hash.digest('hex')).toBe(sha256(PATTERN));
  });
});

describe('handleRequestSync', () => {
  test('answers, with a body in both directions and repeated headers', () => {
    const response = handlers.echo.handleRequestSync({ method: 'POST', url: '/', body: 'grün' });
    expect(response).toBeInstanceOf(Response);
    expect([response.status, response.text(), response.headers.get('x-method')]).toEqual([200, 'grün', 'POST']);
    expect(handlers.response_headers.handleRequestSync({ url: '/' }).headers.getSetCookie()).toHaveLength(2);
  });

  test('5 MB in pieces', () => {
    const { body } = handlers.stream.handleRequestSync({ url: '/?count=80&size=65536' });
    expect(body.length).toBe(PATTERN.length);
    expect(sha256(handlers.echo.handleRequestSync({ method: 'POST', url: '/', body: PATTERN }).body)).toBe(sha256(PATTERN));
  });

  test('throws what the app raises', () => {
    expect(() => handlers.error_before_start.handleRequestSync({ url: '/' }))
      .toThrow(expect.objectContaining({ code: 'ERR_PYTHON_EXCEPTION', pythonMessage: 'no coffee here' }));
    expect(() => handlers.error_after_start.handleRequestSync({ url: '/' }))
      .toThrow(expect.objectContaining({ pythonMessage: 'the second half is missing' }));
    expect(() => open('no_such_module').handler.handleRequestSync({ url: '/' }))
      .toThrow(expect.objectContaining({ code: 'ERR_ASGI_MODULE_NOT_FOUND' }));
  });

  test('its timeout throws, and cancels the task', async () => {
    const counts = async () => (await handlers.slow.handleRequest({ url: '/counts' })).text().split(' ').map(Number);
    const [, before] = await counts();
    const began = Date.now();
    expect(() => handlers.slow.handleRequestSync({ url: '/?seconds=20' }, { timeout: 60 }))
      .toThrow(expect.objectContaining({ code: 'ERR_ASGI_TIMEOUT', message: expect.stringContaining('60 ms') }));
    expect(Date.now() - began).toBeLessThan(2000);
    await eventually(async () => (await counts())[1] === before + 1);
  });

  test('refuses a stream and a bad timeout', () => {
    expect(() => handlers.echo.handleRequestSync({ method: 'POST', url: '/', body: Readable.from(['a']) }))
      .toThrow(expect.objectContaining({ code: 'ERR_ASGI_REQUEST', message: expect.stringContaining('got a stream') }));
    expect(() => handlers.echo.handleRequestSync({ url: '/' }, { timeout: -1 }))
      .toThrow(expect.objectContaining({ code: 'ERR_ASGI_OPTION', message: expect.stringContaining('got -1') }));
  });

  test('is all that a script needs', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [path.resolve(__dirname, '../helpers/sync-script.js')],
      { encoding: 'utf8', timeout: 20_000 });
    expect([status, stderr]).toEqual([0, '']);
    const { answers, ticks } = JSON.parse(stdout);
    expect(answers.map(({ status: code, size }) => [code, size])).toEqual([[200, 3], [200, 5], [200, 0]]);
    expect(ticks).toBe(0);
  });
});

describe('AbortSignal', () => {
  test('rejects with the reason at once, and the app sees its client leave', async () => {
    await handlers.disconnect.handleRequest({ url: '/forget' });
    const controller = new AbortController();
    const asked = handlers.disconnect.handleRequest({ url: '/wait' }, { signal: controller.signal });
    await eventually(async () => (await handlers.disconnect.handleRequest({ url: '/records' })).json().length === 1);
    const reason = new Error('not needed any more');
    controller.abort(reason);
    expect(await rejection(asked)).toBe(reason);
    await eventually(async () => (await handlers.disconnect.handleRequest({ url: '/records' })).json().length === 3);
  });

  test('a signal that is aborted already: the app is never asked', async () => {
    const { total } = handlers.hello.stats();
    await expect(handlers.hello.handleRequest({ url: '/' }, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
    expect(handlers.hello.stats().total).toBe(total);
  });

  test('before the app is loaded', async () => {
    const { handler } = open('lifespan_kinds:slow');
    await expect(handler.handleRequest({ url: '/' }, { signal: AbortSignal.timeout(20) })).rejects.toMatchObject({ name: 'TimeoutError' });
    await handler.ready();
    expect(handler.stats().inFlight).toBe(0);
  });

  test('a stream that is under way is destroyed with the reason', async () => {
    const controller = new AbortController();
    const stream = await handlers.disconnect.handleStream({ url: '/stream' }, { signal: controller.signal });
    await stream.next();
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await rejection((async () => { while (await stream.next()); })())).toBe(reason);
    await eventually(() => handlers.disconnect.stats().inFlight === 0);
  });

  test('nobody listens to it any more once the request has ended, however it has', async () => {
    const { signal } = new AbortController();
    const listening = () => getEventListeners(signal, 'abort').length;
    async function* breaks() {
      yield 'half';
      throw new Error('the source broke');
    }
    const small = open('echo:app', { maxBodyBytes: 10 }).handler;
    const closed = open('hello:app').handler;
    await closed.close();
    await handlers.hello.handleRequest({ url: '/' }, { signal });
    await (await handlers.hello.handleStream({ url: '/' }, { signal })).toArray();
    const failing = [
      handlers.disconnect.handleRequest({ method: 'POST', url: '/wait', body: breaks() }, { signal }),
      handlers.disconnect.handleStream({ method: 'POST', url: '/wait', body: breaks() }, { signal }),
      small.handleRequest({ method: 'POST', url: '/', body: Readable.from(['more than ten bytes']) }, { signal }),
      closed.handleRequest({ url: '/' }, { signal }),
    ];
    const outcomes = await Promise.allSettled(failing);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'rejected']);
    await eventually(() => listening() === 0);
  });

  test('aborting after the answer does nothing', async () => {
    const controller = new AbortController();
    const response = await handlers.hello.handleRequest({ url: '/' }, { signal: controller.signal });
    controller.abort();
    expect(response.text()).toBe('Hello, world!');
  });
});

describe('limits', () => {
  test('maxConcurrency: 503 with Retry-After at once, in process ERR_ASGI_BUSY', async () => {
    const { handler, port, errors } = await serve('slow', { maxConcurrency: 2 });
    const busy = [handler.handleRequest({ url: '/?seconds=0.4' }), handler.handleRequest({ url: '/?seconds=0.4' })];
    const began = Date.now();
    await expect(handler.handleRequest({ url: '/?seconds=0' })).rejects.toMatchObject({ code: 'ERR_ASGI_BUSY', status: 503 });
    expect(() => handler.handleRequestSync({ url: '/' })).toThrow(expect.objectContaining({ code: 'ERR_ASGI_BUSY' }));
    const response = await fetchRaw(port, { target: '/?seconds=0' });
    expect(Date.now() - began).toBeLessThan(350);
    expect([response.status, ...headerValues(response, 'retry-after')]).toEqual([503, '1']);
    expect((await Promise.all(busy)).map((answer) => answer.status)).toEqual([200, 200]);
    await eventually(() => handler.stats().inFlight === 0);
    expect((await handler.handleRequest({ url: '/?seconds=0' })).status).toBe(200);
    expect(errors).toEqual([]);
  });

  test.each(['startTimeout', 'responseTimeout'])('%s: 504, in process ERR_ASGI_TIMEOUT, and the task is cancelled', async (option) => {
    const { handler, port, fetch } = await serve('slow', { [option]: 80 });
    const cancelled = async () => Number((await fetch('/counts')).body.toString().split(' ')[1]);
    const before = await cancelled();
    await expect(handler.handleRequest({ url: '/?seconds=20' })).rejects.toMatchObject({
      code: 'ERR_ASGI_TIMEOUT', status: 504, message: expect.stringMatching(new RegExp(`80 ms.*${option}`)),
    });
    expect((await fetchRaw(port, { target: '/?seconds=20' })).status).toBe(504);
    await eventually(async () => (await cancelled()) === before + 2);
    expect((await fetch('/?seconds=0')).status).toBe(200);
    await eventually(() => handler.stats().inFlight === 0);
  });

  test('startTimeout does not end a response that has started; responseTimeout does, and never clean', async () => {
    const patient = open('disconnect', { startTimeout: 60 }).handler;
    const stream = await patient.handleStream({ url: '/stream' });
    await later(150);
    expect(stream.destroyed).toBe(false);
    stream.destroy();
    const strict = open('disconnect', { responseTimeout: 100 }).handler;
    const cut = await strict.handleStream({ url: '/stream' });
    await expect((async () => { while (await cut.next()); })()).rejects.toMatchObject({ code: 'ERR_ASGI_TIMEOUT' });
    await eventually(() => strict.stats().inFlight === 0);
  });

  test('maxBodyBytes: 413 for an announced and for a streamed body, in process ERR_ASGI_BODY_TOO_LARGE', async () => {
    const { handler, port } = await serve('upload_sink', { maxBodyBytes: 1000 });
    const wanted = { code: 'ERR_ASGI_BODY_TOO_LARGE', status: 413, message: expect.stringContaining('1000') };
    await expect(handler.handleRequest({ method: 'POST', url: '/', body: Buffer.alloc(1001) })).rejects.toMatchObject(wanted);
    await expect(handler.handleRequest({ method: 'POST', url: '/', body: Readable.from([Buffer.alloc(600), Buffer.alloc(600)]) }))
      .rejects.toMatchObject(wanted);
    expect(() => handler.handleRequestSync({ method: 'POST', url: '/', body: Buffer.alloc(1001) })).toThrow(expect.objectContaining({ status: 413 }));
    expect((await fetchRaw(port, { method: 'POST', body: Buffer.alloc(1001) })).status).toBe(413);
    const connection = await RawConnection.open(port);
    await connection.write(Buffer.concat([
      Buffer.from('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'), chunkBytes(Buffer.alloc(600)), chunkBytes(Buffer.alloc(600)),
    ]));
    expect((await connection.readResponse()).status).toBe(413);
    connection.destroy();
    const exact = await fetchRaw(port, { method: 'POST', body: Buffer.alloc(1000) });
    expect(jsonOf(exact).size).toBe(1000);
    await eventually(() => handler.stats().inFlight === 0);
  });

  test('cancelOnDisconnect cancels the task of a client that has left', async () => {
    const { port, fetch } = await serve('slow', { cancelOnDisconnect: true });
    const cancelled = async () => Number((await fetch('/counts')).body.toString().split(' ')[1]);
    const started = async () => Number((await fetch('/counts')).body.toString().split(' ')[0]);
    const [before, others] = [await cancelled(), await started()];
    const connection = await RawConnection.open(port);
    await connection.write(requestBytes({ target: '/?seconds=20' }));
    await eventually(async () => (await started()) === others + 1);
    connection.reset();
    await eventually(async () => (await cancelled()) === before + 1);
  });

  test('a small highWaterMark lets everything through', async () => {
    const { handler, fetch } = await serve('echo', { highWaterMark: 1 });
    const body = Buffer.alloc(200_000, 'water');
    expect((await handler.handleRequest({ method: 'POST', url: '/', body: Readable.from([body, body]) })).body.length).toBe(400_000);
    expect((await fetch({ method: 'POST', body })).body.equals(body)).toBe(true);
  });
});

test('a handler can be made and left unused', async () => {
  const handler = new PythonHandler({ docroot: CORE, target: 'hello:app' });
  await handler.close();
});
