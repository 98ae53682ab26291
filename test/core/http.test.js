'use strict';

/** What every supported CPython must do, with raw ASGI apps alone. Names begin with ids of the ASGI checklist. */

const crypto = require('node:crypto');
const path = require('node:path');

const { PythonHandler, PythonError, pythonInfo } = require('../..');
const {
  fetchRaw, headerValues, IncompleteResponse, RawConnection, requestBytes, chunkBytes,
} = require('../helpers/raw-http');
const { serveHttp, serveExpress } = require('../helpers/servers');

const docroot = path.join(__dirname, '..', '..', 'fixtures', 'core');
const open = [];

/** A ready handler for a fixture, closed after the tests. */
async function host(name, options = {}) {
  const target = name.includes(':') ? name : `${name}:app`;
  const handler = new PythonHandler({ docroot, target, ...options });
  open.push(handler);
  await handler.ready();
  return handler;
}

/** The same behind node:http. */
async function serve(name, options) {
  const handler = await host(name, options);
  const server = await serveHttp(handler);
  open.push(server);
  return { handler, port: server.port };
}

afterAll(async () => {
  for (const one of open.reverse()) await one.close();
});

/** Asks until the answer pleases. */
async function until(ask, pleases) {
  const deadline = Date.now() + 5000;
  for (;;) {
    const answer = await ask();
    if (pleases(answer)) return answer;
    if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const sha256 = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex');

test('the suite runs on the Python that was asked for', async () => {
  await host('hello');
  const wanted = process.env.NODE_ASGI_PYTHON;
  if (wanted) expect(pythonInfo().source).toBe('NODE_ASGI_PYTHON');
  expect(pythonInfo().version).toMatch(/^3\.\d+\.\d+/);
});

describe('scope', () => {
  test('S-01 S-07 S-09 S-10 S-12 S-13 S-17 S-18 S-19 the scope of a raw request, field by field', async () => {
    const { port } = await serve('scope_dump');
    const response = await fetchRaw(port, {
      method: 'PROPFIND', target: '/caf%C3%A9%2Fa%20b%ff?x=1?y', headers: [['X-Many', 'a'], ['x-many', 'b\xe9']],
    });
    const { scope, types } = JSON.parse(response.body);
    expect(types).toMatchObject({ headers: 'list', raw_path: 'bytes', query_string: 'bytes', path: 'str' });
    expect(scope).toMatchObject({
      type: 'http', http_version: '1.1', method: 'PROPFIND', scheme: 'http', path: '/café/a b\ufffd',
      raw_path: '/caf%C3%A9%2Fa%20b%ff', query_string: 'x=1?y', root_path: '', extensions: {},
      asgi: { version: '3.0', spec_version: '2.5' }, server: ['127.0.0.1', port],
    });
    expect(scope.client[0]).toBe('127.0.0.1');
    expect(scope.headers.filter(([name]) => name === 'x-many')).toEqual([['x-many', 'a'], ['x-many', 'b\xe9']]);
  });

  test('S-11 an absolute-form target gives its path', async () => {
    const { port } = await serve('scope_dump');
    const { scope } = JSON.parse((await fetchRaw(port, { target: 'http://example.test/p?q' })).body);
    expect(scope).toMatchObject({ path: '/p', query_string: 'q' });
  });

  test('S-14 S-15 below an Express mount root_path is the mount, and the path includes it', async () => {
    const handler = await host('scope_dump');
    const server = await serveExpress(handler, { mount: '/api/v1' });
    open.push(server);
    const { scope } = JSON.parse((await fetchRaw(server.port, { target: '/api/v1/x' })).body);
    expect(scope).toMatchObject({ root_path: '/api/v1', path: '/api/v1/x', raw_path: '/api/v1/x' });
  });
});

describe('request bodies', () => {
  test('H-03 H-04 a chunked upload arrives de-chunked and whole', async () => {
    const { port } = await serve('upload_sink');
    const body = crypto.randomBytes(300_000);
    const connection = await RawConnection.open(port);
    connection.write('POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n');
    for (let at = 0; at < body.length; at += 50_000) connection.write(chunkBytes(body.subarray(at, at + 50_000)));
    connection.write('0\r\n\r\n');
    const answer = JSON.parse((await connection.readResponse()).body);
    connection.reset();
    expect(answer).toMatchObject({ size: 300_000, sha256: sha256(body) });
  });

  test('H-06 the first piece is seen before the second is sent', async () => {
    const { port } = await serve('upload_sink');
    const connection = await RawConnection.open(port);
    connection.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nfirst');
    await until(async () => JSON.parse((await fetchRaw(port, { target: '/taken' })).body), ({ taken }) => taken === 5);
    connection.write('later');
    expect(JSON.parse((await connection.readResponse()).body).size).toBe(10);
    connection.reset();
  });

  test('H-07 an app that does not read stops the upload', async () => {
    const { handler, port } = await serve('upload_sink', { highWaterMark: 65536 });
    const connection = await RawConnection.open(port);
    connection.write('POST /gated HTTP/1.1\r\nhost: x\r\ncontent-length: 20000000\r\n\r\n');
    connection.write(Buffer.alloc(20_000_000));
    await until(() => handler.stats().bytesIn, (bytes) => bytes > 0);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(handler.stats().bytesIn).toBeLessThan(1_000_000);
    await fetchRaw(port, { target: '/open' });
    expect(JSON.parse((await connection.readResponse()).body).size).toBe(20_000_000);
    connection.reset();
  });

  test('H-15 a response to an unread body leaves the connection usable', async () => {
    const { port } = await serve('upload_sink');
    const connection = await RawConnection.open(port);
    connection.write(requestBytes({ method: 'POST', target: '/ignore', body: Buffer.alloc(500_000) }));
    expect(JSON.parse((await connection.readResponse()).body)).toEqual({ ignored: true });
    connection.write(requestBytes({ method: 'POST', target: '/', body: 'abc' }));
    expect(JSON.parse((await connection.readResponse()).body).size).toBe(3);
    connection.reset();
  });

  test('5 MB go up and come back whole in process', async () => {
    const handler = await host('echo');
    const body = crypto.randomBytes(5_000_000);
    const response = await handler.handleRequest({ method: 'POST', url: '/', body });
    expect(sha256(response.body)).toBe(sha256(body));
  });
});

describe('responses', () => {
  test('H-31 HEAD has no body, and the connection goes on', async () => {
    const { port } = await serve('hello');
    const connection = await RawConnection.open(port);
    connection.write(requestBytes({ method: 'HEAD' }));
    const response = await connection.readResponse({ method: 'HEAD' });
    expect(response.body.length).toBe(0);
    connection.write(requestBytes({}));
    expect((await connection.readResponse()).body.length).toBeGreaterThan(0);
    connection.reset();
  });

  test.each([204, 304])('H-32 a %i has no body', async (status) => {
    const { port } = await serve('status');
    const connection = await RawConnection.open(port);
    connection.write(requestBytes({ target: `/${status}` }));
    const response = await connection.readResponse();
    expect([response.status, response.body.length]).toEqual([status, 0]);
    expect(headerValues(response, 'transfer-encoding')).toEqual([]);
    connection.write(requestBytes({ target: '/200' }));
    expect((await connection.readResponse()).body.toString()).toBe('status');
    connection.reset();
  });

  test('H-34 a piece reaches the client before the app makes the next', async () => {
    const { port } = await serve('gated_stream');
    const connection = await RawConnection.open(port);
    connection.write(requestBytes({}));
    let opened;
    const response = await connection.readResponse({
      onData: () => { opened ??= fetchRaw(port, { target: '/open' }); },
    });
    expect(response.body.toString()).toBe('first\nlast\n');
    expect((await opened).body.toString()).toBe('1');
    connection.reset();
  });

  test('H-27 fewer bytes than content-length never look whole', async () => {
    const { handler, port } = await serve('error_after_start');
    handler.on('error', () => {});
    await expect(fetchRaw(port, { target: '/length' })).rejects.toBeInstanceOf(IncompleteResponse);
  });

  test('X-13 an exception after the head breaks the connection instead of ending the body', async () => {
    const { handler, port } = await serve('error_after_start');
    const errors = [];
    handler.on('error', (error) => errors.push(error));
    await expect(fetchRaw(port, {})).rejects.toBeInstanceOf(IncompleteResponse);
    expect(errors).toEqual([expect.objectContaining({ pythonType: 'RuntimeError' })]);
  });

  test('X-12 an exception before the head is a 500 that tells nothing, and the next request works', async () => {
    const { handler, port } = await serve('error_before_start');
    const errors = [];
    handler.on('error', (error) => errors.push(error));
    const response = await fetchRaw(port, {});
    expect([response.status, response.body.toString()]).toEqual([500, 'Internal Server Error']);
    expect(errors[0].traceback).toContain('error_before_start.py');
    expect((await fetchRaw(port, {})).status).toBe(500);
  });
});

describe('calling rules', () => {
  const mistakes = [
    'unknown-type', 'no-type', 'not-a-dict', 'type-not-str', 'no-status', 'status-str', 'status-bool', 'status-low',
    'status-1xx', 'status-high', 'header-str', 'header-not-a-pair', 'header-crlf', 'header-nul', 'header-name',
    'header-empty-name', 'pseudo-header', 'body-first', 'websocket', 'trailers', 'debug', 'disconnect',
    'second-start', 'body-str', 'body-none',
  ];

  test.each(mistakes)('X-01 to X-07 %s raises in the app, which may still answer', async (mistake) => {
    const handler = await host('protocol_errors');
    const response = await handler.handleRequest({ url: `/${mistake}` });
    expect(response.text()).toMatch(/^(TypeError|ValueError|RuntimeError)$/);
  });

  test('H-35 messages after the end are ignored', async () => {
    const handler = await host('protocol_errors');
    expect((await handler.handleRequest({ url: '/none' })).text()).toBe('nothing raised');
  });

  test.each(['callable_object:app', 'callable_object:partial', 'callable_object:awaitable'])(
    'X-17 %s is an app, because it returns an awaitable', async (target) => {
      const handler = await host(target);
      expect((await handler.handleRequest({ url: '/' })).text()).toMatch(/^(object|partial|awaitable)$/);
    });

  test('F-01 F-04 each request has its own context, which it keeps, and a real task', async () => {
    const handler = await host('context_variable');
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => handler.handleRequest({ url: `/${i}` })));
    expect(answers.map((answer) => answer.text())).toEqual(Array(20).fill('unset'));
    expect(answers.map((answer) => answer.headers.get('x-kept'))).toEqual(answers.map((_, i) => `/${i}`));
    expect(answers[0].headers.get('x-task')).toBe('Task');
  });
});

describe('clients that leave', () => {
  test('H-10 H-12 a client that leaves wakes a waiting receive, again and again', async () => {
    const { port } = await serve('disconnect');
    await fetchRaw(port, { target: '/forget' });
    const connection = await RawConnection.open(port);
    connection.write(requestBytes({ target: '/wait' }));
    const records = async () => JSON.parse((await fetchRaw(port, { target: '/records' })).body);
    await until(records, (seen) => seen.length === 1);
    connection.reset();
    const seen = await until(records, (all) => all.length === 3);
    expect(seen).toEqual([['request', 0, true], ['http.disconnect', 0, true], ['again', 'http.disconnect']]);
  });

  test('X-08 X-09 send raises an OSError, which nobody hears of', async () => {
    const { handler, port } = await serve('disconnect');
    const errors = [];
    handler.on('error', (error) => errors.push(error));
    await fetchRaw(port, { target: '/forget' });
    const connection = await RawConnection.open(port);
    connection.write(requestBytes({ target: '/stream' }));
    const records = async () => JSON.parse((await fetchRaw(port, { target: '/records' })).body);
    await until(records, (seen) => seen.length === 1);
    connection.reset();
    const seen = await until(records, (all) => all.length === 2);
    expect(seen[1]).toEqual(['raised', 'ClientDisconnected', true]);
    await until(() => handler.stats().inFlight, (inFlight) => inFlight === 0);
    expect(errors).toEqual([]);
  });

  test('an AbortSignal rejects with its reason, and the app is told', async () => {
    const handler = await host('disconnect');
    await handler.handleRequest({ url: '/forget' });
    const abort = new AbortController();
    const asked = handler.handleRequest({ url: '/wait' }, { signal: abort.signal });
    const records = async () => (await handler.handleRequest({ url: '/records' })).json();
    await until(records, (seen) => seen.length === 1);
    abort.abort(new Error('enough'));
    await expect(asked).rejects.toThrow('enough');
    await until(records, (seen) => seen.some(([what]) => what === 'http.disconnect'));
  });
});

describe('limits', () => {
  test('maxConcurrency answers 503 with Retry-After at once', async () => {
    const { port, handler } = await serve('slow', { maxConcurrency: 1 });
    const first = fetchRaw(port, { target: '/?seconds=0.3' });
    await until(() => handler.stats().inFlight, (inFlight) => inFlight === 1);
    const second = await fetchRaw(port, { target: '/?seconds=0' });
    expect([second.status, headerValues(second, 'retry-after')]).toEqual([503, ['1']]);
    expect((await first).status).toBe(200);
  });

  test.each(['startTimeout', 'responseTimeout'])('%s answers 504 and cancels the task', async (option) => {
    const { port, handler } = await serve('slow', { [option]: 100 });
    handler.on('error', () => {});
    const cancelled = async () => Number((await fetchRaw(port, { target: '/counts' })).body.toString().split(' ')[1]);
    const before = await cancelled();
    expect((await fetchRaw(port, { target: '/?seconds=20' })).status).toBe(504);
    await until(cancelled, (now) => now === before + 1);
  });

  test('maxBodyBytes answers 413', async () => {
    const { port, handler } = await serve('upload_sink', { maxBodyBytes: 1000 });
    handler.on('error', () => {});
    expect((await fetchRaw(port, { method: 'POST', target: '/', body: Buffer.alloc(1001) })).status).toBe(413);
    expect((await fetchRaw(port, { method: 'POST', target: '/', body: Buffer.alloc(1000) })).status).toBe(200);
  });

  test('1,000 requests at once are all answered, and this thread never holds the GIL', async () => {
    const handler = await host('hello');
    const answers = await Promise.all(Array.from({ length: 1000 }, () => handler.handleRequest({ url: '/' })));
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]));
    await until(() => handler.stats().inFlight, (inFlight) => inFlight === 0);
    expect(handler.stats().gilOnJsThread).toBe(0);
  });
});

describe('exceptions', () => {
  test('a PythonError has type, message, traceback, frames and cause', async () => {
    const handler = await host('error_before_start');
    const error = await handler.handleRequest({ url: '/chained' }).catch((caught) => caught);
    expect(error).toBeInstanceOf(PythonError);
    expect(error).toMatchObject({
      code: 'ERR_PYTHON_EXCEPTION', pythonType: 'ValueError', pythonMessage: 'cannot serve',
      cause: { pythonType: 'error_before_start.TeapotError', pythonMessage: 'no coffee here' },
    });
    expect(error.traceback).toContain('direct cause');
    expect(error.frames.at(-1)).toMatchObject({ function: 'app' });
  });

  test.each([
    ['exit', 'SystemExit'], ['interrupt', 'KeyboardInterrupt'], ['cancelled', 'CancelledError'],
    ['recursion', 'RecursionError'], ['memory', 'MemoryError'],
  ])('X-16 %s ends one request only', async (kind, type) => {
    const handler = await host('base_exceptions');
    await expect(handler.handleRequest({ url: `/${kind}` })).rejects.toMatchObject({
      pythonType: expect.stringContaining(type),
    });
    expect((await handler.handleRequest({ url: '/' })).text()).toBe('alive');
  });
});

describe('lifespan', () => {
  test('L-03 S-25 S-26 startup comes first, and each request has its own copy of the state', async () => {
    const handler = await host('lifespan_state');
    const first = (await handler.handleRequest({ url: '/' })).json();
    const second = (await handler.handleRequest({ url: '/' })).json();
    expect(first.events.at(-1)).toBe('startup'); // other handlers of this process may have started the same module
    expect([first.word, second.word]).toEqual(['from startup', 'from startup']);
    expect(second.requests).toBe(first.requests + 1);
    expect(await handler.close()).toMatchObject({ lifespan: 'complete', timedOut: false });
  });

  test('L-04 a failed startup rejects ready() and every request with its message', async () => {
    const handler = new PythonHandler({ docroot, target: 'lifespan_failed:app' });
    await expect(handler.ready()).rejects.toThrow('the database is not there');
    await expect(handler.handleRequest({ url: '/' })).rejects.toThrow('the database is not there');
    await handler.close();
  });

  test('requests before the startup has ended wait for it', async () => {
    const handler = new PythonHandler({ docroot, target: 'hello:app' });
    open.push(handler);
    expect((await handler.handleRequest({ url: '/' })).status).toBe(200);
  });

  test('a closed handler refuses, and closes once', async () => {
    const handler = await host('hello');
    const closing = handler.close();
    expect(handler.close()).toBe(closing);
    await closing;
    await expect(handler.handleRequest({ url: '/' })).rejects.toMatchObject({ code: 'ERR_ASGI_CLOSED' });
  });
});

describe('targets', () => {
  test.each([
    ['nowhere:app', 'ERR_ASGI_MODULE_NOT_FOUND', 'nowhere'],
    ['no_attribute:missing', 'ERR_ASGI_APP_NOT_FOUND', 'missing'],
    ['not a target', 'ERR_ASGI_TARGET', 'module:attribute'],
  ])('%s is told apart', async (target, code, text) => {
    const handler = new PythonHandler({ docroot, target });
    await expect(handler.ready()).rejects.toMatchObject({ code, message: expect.stringContaining(text) });
    await handler.close();
  });

  test('a module that fails to import keeps its traceback', async () => {
    const handler = new PythonHandler({ docroot, target: 'error_at_import:app' });
    const error = await handler.ready().catch((caught) => caught);
    expect(error.traceback).toContain('error_at_import.py');
    await handler.close();
  });

  test('a missing import inside the module is not a missing module', async () => {
    const handler = new PythonHandler({ docroot, target: 'missing_dependency:app' });
    await expect(handler.ready()).rejects.toMatchObject({
      code: 'ERR_ASGI_STARTUP', pythonType: 'ModuleNotFoundError',
    });
    await handler.close();
  });

  test.each(['factory:create_app()', 'dotted:services.web.app', 'package.inner.web:app'])('%s is found', async (target) => {
    const handler = await host(target);
    expect((await handler.handleRequest({ url: '/' })).status).toBe(200);
  });
});
