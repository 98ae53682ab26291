'use strict';

/** fetch(url, { dispatcher }) and undici.request(url, { dispatcher }) answered by the app, without a socket. */

const { createHash, randomBytes } = require('node:crypto');
const path = require('node:path');
const { Readable, Writable } = require('node:stream');

const undici = require('undici');

const { PythonError } = require('../..');
const { PythonDispatcher } = require('../../lib/dispatcher');
const { Child } = require('../helpers/child');
const { CORE, coreApps, eventually } = require('../helpers/core-apps');

const { open } = coreApps();
const ORIGIN = 'http://python.test';
const sha256 = (data) => createHash('sha256').update(data).digest('hex');

/** @type {Record<string, PythonDispatcher>} */
const dispatchers = {};
const handlers = {};

beforeAll(async () => {
  for (const name of ['scope_dump', 'echo', 'upload_sink', 'response_headers', 'stream', 'gated_stream', 'status',
    'error_before_start', 'error_after_start', 'disconnect', 'slow']) {
    handlers[name] = open(name).handler;
    dispatchers[name] = new PythonDispatcher(handlers[name]);
  }
  await Promise.all(Object.values(handlers).map((handler) => handler.ready()));
});

/** One way to ask: what it answers is reduced to what the ways have in common. */
const ways = {
  "Node's own fetch": fromFetch(globalThis.fetch),
  "undici's fetch": fromFetch(undici.fetch),
  "undici's request": async (app, path, init = {}) => {
    const options = { dispatcher: dispatchers[app], ...init };
    const { statusCode, headers, body } = await undici.request(ORIGIN + path, options);
    const cookies = [headers['set-cookie'] ?? []].flat();
    return { status: statusCode, header: (name) => headers[name] ?? null, cookies, body };
  },
  'an interceptor of undici 7': async (app, path, init = {}) => {
    // Interceptors hand over the handlers of undici 7, which take a controller.
    const compose = undici.Dispatcher.prototype.compose;
    const dispatcher = compose.call(dispatchers[app], undici.interceptors.redirect({ maxRedirections: 1 }));
    return ways["undici's request"](app, path, { ...init, dispatcher });
  },
};

function fromFetch(fetch) {
  return async (app, path, init = {}) => {
    const response = await fetch(ORIGIN + path, { dispatcher: dispatchers[app], duplex: 'half', ...init });
    const { status, headers, body } = response;
    return { status, header: (name) => headers.get(name), cookies: headers.getSetCookie(), body };
  };
}

/** @param {AsyncIterable<Uint8Array>} body */
async function bytesOf(body) {
  const pieces = [];
  for await (const piece of body ?? []) pieces.push(piece);
  return Buffer.concat(pieces);
}

const textOf = async (body) => (await bytesOf(body)).toString();
const jsonOf = async (body) => JSON.parse(await textOf(body));

describe.each(Object.entries(ways))('%s', (name, ask) => {
  const isFetch = name.endsWith('fetch');
  // Node's own fetch makes errors of another realm, which is what Jest runs a test in, to text: its causes have a
  // test in a process of its own below.
  const isForeign = name === "Node's own fetch";

  test('reaches the app with method, path, query, host and fields', async () => {
    const answer = await ask('scope_dump', '/caf%C3%A9/a?b=1&c=%20', { headers: { 'X-One': '1' } });
    expect(answer.status).toBe(200);
    expect(answer.header('content-type')).toBe('application/json');
    const { scope } = await jsonOf(answer.body);
    expect(scope).toMatchObject({
      type: 'http', method: 'GET', scheme: 'http', path: '/café/a', raw_path: '/caf%C3%A9/a',
      query_string: 'b=1&c=%20', client: null, server: null,
    });
    expect(scope.headers).toContainEqual(['host', 'python.test']);
    expect(scope.headers).toContainEqual(['x-one', '1']);
    expect(scope.headers.map(([field]) => field)).not.toContain('content-length');
  });

  const bytes = randomBytes(300_000);
  test.each([
    ['a string', 'one two', Buffer.from('one two')],
    ['a Buffer', bytes, bytes],
    ['a typed array', new Uint8Array(bytes), bytes],
    ['a part of a buffer', bytes.subarray(1000, 2000), bytes.subarray(1000, 2000)],
    ['a Readable', () => Readable.from([bytes.subarray(0, 100_000), bytes.subarray(100_000)]), bytes],
    ['an async iterable', async function* pieces() { yield* [bytes.subarray(0, 1), bytes.subarray(1)]; }, bytes],
    ['a Blob', new Blob([bytes]), bytes],
  ])('sends %s as the body', async (_, body, expected) => {
    const made = typeof body === 'function' ? body() : body;
    const answer = await ask('upload_sink', '/', { method: 'POST', body: made });
    expect(await jsonOf(answer.body)).toMatchObject({ size: expected.length, sha256: sha256(expected) });
  });

  test('announces the length of a body that it knows', async () => {
    for (const body of ['length', Buffer.from('length'), new Blob(['length'])]) {
      const { scope } = await jsonOf((await ask('scope_dump', '/', { method: 'POST', body })).body);
      expect(scope.headers).toContainEqual(['content-length', '6']);
    }
    const stream = Readable.from(['length']);
    const { scope } = await jsonOf((await ask('scope_dump', '/', { method: 'POST', body: stream })).body);
    expect(scope.headers).toContainEqual(['transfer-encoding', 'chunked']);
    expect(scope.headers.map(([field]) => field)).not.toContain('content-length');
  });

  test('sends FormData as multipart', async () => {
    const form = name === "Node's own fetch" ? new FormData() : new undici.FormData();
    form.append('a "field"', 'one\ntwo');
    form.append('file', new File([bytes], 'bytes.bin', { type: 'x/y' }));
    const answer = await ask('echo', '/', { method: 'POST', body: form });
    const echoed = await bytesOf(answer.body);
    const boundary = echoed.subarray(2, echoed.indexOf('\r\n')).toString();
    const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` };
    const read = await new Response(echoed, { headers }).formData();
    expect(read.get('a "field"')).toBe('one\r\ntwo');
    expect(read.get('file').name).toBe('bytes.bin');
    expect(read.get('file').type).toBe('x/y');
    expect(Buffer.from(await read.get('file').arrayBuffer()).equals(bytes)).toBe(true);
    const { scope } = await jsonOf((await ask('scope_dump', '/', { method: 'POST', body: form })).body);
    const told = Object.fromEntries(scope.headers);
    expect(told['content-type']).toMatch(/^multipart\/form-data; boundary=\S+$/);
    // A boundary of another request may have another length.
    expect(Math.abs(Number(told['content-length']) - echoed.length)).toBeLessThan(100);
  });

  test('keeps repeated set-cookie apart and latin-1 values whole', async () => {
    const { cookies, header, body } = await ask('response_headers', '/');
    expect(cookies).toEqual(['first=1; Path=/', 'second=2; Path=/only']);
    expect(header('x-latin')).toBe('caf\xe9');
    expect(header('x-empty')).toBe('');
    expect(header('x-mixed-case')).toBe('kept');
    expect(await textOf(body)).toBe('headers');
  });

  test('has the first piece before the app makes the last', async () => {
    const { body } = await ask('gated_stream', '/');
    const pieces = [];
    for await (const piece of body) {
      pieces.push(Buffer.from(piece).toString());
      if (pieces.length === 1) expect((await handlers.gated_stream.handleRequest({ url: '/open' })).text()).toBe('1');
    }
    expect(pieces).toEqual(['first\n', 'last\n']);
  });

  test('passes a large body on whole', async () => {
    const { body } = await ask('stream', '/?count=100&size=10007');
    const expected = Buffer.concat(Array.from({ length: 100 }, (_, number) => Buffer.alloc(10007, number)));
    expect(sha256(await bytesOf(body))).toBe(sha256(expected));
  });

  test('makes an app wait that is faster than its reader', async () => {
    const sent = async () => Number((await handlers.stream.handleRequest({ url: '/sent' })).text());
    const { body } = await ask('stream', '/?count=1000&size=65536');
    const iterator = body[Symbol.asyncIterator]();
    const first = await iterator.next();
    expect(first.done).toBe(false);
    let before = -1;
    for (let now = await sent(); now !== before; now = await sent()) {
      before = now;
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
    expect(before).toBeLessThan(30);
    let size = first.value.length;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) size += next.value.length;
    expect(size).toBe(1000 * 65536);
    expect(await sent()).toBe(1000);
  });

  test('answers HEAD and 204 without a body', async () => {
    const head = await ask('stream', '/?count=3&size=10', { method: 'HEAD' });
    expect(head.status).toBe(200);
    expect(await textOf(head.body)).toBe('');
    const none = await ask('status', '/204');
    expect(none.status).toBe(204);
    expect(await textOf(none.body)).toBe('');
  });

  test('rejects with the exception of the app', async () => {
    const error = await ask('error_before_start', '/').then(() => null, (reason) => reason);
    if (isFetch) expect(error).toMatchObject({ name: 'TypeError', message: 'fetch failed' });
    else expect(error).toBeInstanceOf(PythonError);
    if (isForeign) return;
    expect(isFetch ? error.cause : error).toMatchObject({
      code: 'ERR_PYTHON_EXCEPTION', pythonType: expect.stringMatching(/TeapotError$/), pythonMessage: 'no coffee here',
    });
  });

  test('a body that breaks off is an error of the body and never looks whole', async () => {
    const { status, body } = await ask('error_after_start', '/');
    expect(status).toBe(200);
    const error = await bytesOf(body).then(() => null, (reason) => reason);
    if (isFetch) expect(error).toMatchObject({ name: 'TypeError', message: 'terminated' });
    if (isForeign) return;
    expect(isFetch ? error.cause : error).toMatchObject({ pythonMessage: 'the second half is missing' });
  });

  const records = async () => (await handlers.disconnect.handleRequest({ url: '/records' })).json();

  test('an abort before the response is a disconnect of the app', async () => {
    await handlers.disconnect.handleRequest({ url: '/forget' });
    const abort = new AbortController();
    const asked = ask('disconnect', '/wait', { method: 'POST', body: 'whole', signal: abort.signal });
    asked.catch(() => {});
    await eventually(async () => (await records()).length > 0);
    abort.abort(new Error('enough'));
    await expect(asked).rejects.toThrow('enough');
    await eventually(async () => (await records()).some(([type]) => type === 'http.disconnect'));
  });

  test('an abort in the middle of the response is a disconnect of the app', async () => {
    await handlers.disconnect.handleRequest({ url: '/forget' });
    const abort = new AbortController();
    const { body } = await ask('disconnect', '/stream', { signal: abort.signal });
    const read = async () => {
      for await (const piece of body) if (piece.length > 0) abort.abort(new Error('enough'));
    };
    await expect(read()).rejects.toThrow('enough');
    await eventually(async () => (await records()).some(([type, , isOsError]) => type === 'raised' && isOsError));
  });

  test('a signal that has been aborted already never reaches the app', async () => {
    const before = handlers.echo.stats().total;
    await expect(ask('echo', '/', { signal: AbortSignal.abort(new Error('too late')) })).rejects.toThrow('too late');
    expect(handlers.echo.stats().total).toBe(before);
  });

  test('a request body that fails rejects, and the app sees a disconnect', async () => {
    await handlers.disconnect.handleRequest({ url: '/forget' });
    async function* broken() {
      yield Buffer.from('begin');
      await eventually(async () => (await records()).length > 0);
      throw new Error('the disk is gone');
    }
    const error = await ask('disconnect', '/wait', { method: 'POST', body: Readable.from(broken()) })
      .then(() => null, (reason) => reason);
    expect([error?.message, error?.cause?.message]).toContain('the disk is gone');
    await eventually(async () => (await records()).some(([type]) => type === 'http.disconnect'));
    expect(await records()).not.toContainEqual(['request', 5, true]);
  });

  test('an app that answers without reading the upload ends it', async () => {
    let pieces = 0;
    let ended = false;
    async function* endless() {
      try {
        for (;;) {
          pieces += 1;
          yield Buffer.alloc(16_384);
          await new Promise((resolve) => { setImmediate(resolve); });
        }
      } finally {
        ended = true;
      }
    }
    const answer = await ask('upload_sink', '/ignore', { method: 'POST', body: Readable.from(endless()) });
    expect(await jsonOf(answer.body)).toEqual({ ignored: true });
    await eventually(() => ended || name.endsWith('fetch'));
    const before = pieces;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
    expect(pieces - before).toBeLessThan(3);
  });
});

test("an exception of the app is the cause that Node's own fetch gives, before and in the response", async () => {
  const child = new Child(['-e', `
    const { PythonHandler } = require(${JSON.stringify(path.resolve(__dirname, '../..'))});
    const { PythonDispatcher } = require(${JSON.stringify(path.resolve(__dirname, '../../lib/dispatcher'))});
    (async () => {
      for (const name of ['error_before_start', 'error_after_start']) {
        const python = new PythonHandler({ docroot: ${JSON.stringify(CORE)}, target: name + ':app' });
        python.on('error', () => {});
        const asked = fetch('http://python.test/', { dispatcher: new PythonDispatcher(python) });
        const { message, cause } = await asked.then((response) => response.text()).catch((error) => error);
        console.log([message, cause.name, cause.code, cause.pythonMessage].join(', '));
        await python.close();
      }
    })();
  `]);
  expect(await child.ended(20_000)).toEqual({ code: 0, signal: null });
  expect(child.stdout.split('\n')).toEqual([
    'fetch failed, PythonError, ERR_PYTHON_EXCEPTION, no coffee here',
    'terminated, PythonError, ERR_PYTHON_EXCEPTION, the second half is missing',
    '',
  ]);
  expect(child.stderr).toBe('');
});

test('the scheme comes from the origin, and with it no TLS extension', async () => {
  const { body } = await undici.request('https://python.test:8443/', { dispatcher: dispatchers.scope_dump });
  const { scope } = await body.json();
  expect(scope.scheme).toBe('https');
  expect(scope.headers).toContainEqual(['host', 'python.test:8443']);
  expect(scope.extensions).not.toHaveProperty('tls');
});

test('undici.request: query, repeated fields, and fields as a flat array', async () => {
  const dispatcher = dispatchers.scope_dump;
  const asked = await undici.request(`${ORIGIN}/q`, {
    dispatcher, query: { a: '1', b: ['x y', 'z'] }, headers: { 'X-Many': ['1', '2'] },
  });
  const { scope } = await asked.body.json();
  expect(scope.query_string).toBe('a=1&b=x%20y&b=z');
  expect(scope.headers.filter(([name]) => name === 'x-many')).toEqual([['x-many', '1'], ['x-many', '2']]);
  const headers = ['X-One', '1', 'Connection', 'close', 'X-Two', '2'];
  const flat = await undici.request(`${ORIGIN}/`, { dispatcher, headers });
  const names = (await flat.body.json()).scope.headers.map(([name]) => name);
  expect(names).toEqual(['host', 'x-one', 'x-two']);
});

test("undici's stream and pipeline", async () => {
  const pieces = [];
  await undici.stream(`${ORIGIN}/?count=3&size=2`, { dispatcher: dispatchers.stream, method: 'GET' },
    ({ statusCode }) => {
      expect(statusCode).toBe(200);
      return new Writable({ write(piece, _, done) { pieces.push(piece); done(); } });
    });
  expect(Buffer.concat(pieces)).toEqual(Buffer.from([0, 0, 1, 1, 2, 2]));

  const pipeline = undici.pipeline(`${ORIGIN}/`, { dispatcher: dispatchers.echo, method: 'POST' }, ({ body }) => body);
  pipeline.end('through the pipeline');
  expect(await textOf(pipeline)).toBe('through the pipeline');
});

test('a field is no header of the wire: what would split one is refused', async () => {
  await expect(undici.request(`${ORIGIN}/`, { dispatcher: dispatchers.echo, headers: { 'x-a': 'b\r\nc: d' } }))
    .rejects.toMatchObject({ code: 'ERR_ASGI_REQUEST' });
});

test('an upgrade is refused', async () => {
  await expect(undici.upgrade(`${ORIGIN}/`, { dispatcher: dispatchers.echo, protocol: 'websocket' }))
    .rejects.toMatchObject({ code: 'ERR_ASGI_REQUEST' });
});

test('a body that is none is refused', async () => {
  await expect(undici.request(`${ORIGIN}/`, { dispatcher: dispatchers.echo, method: 'POST', body: 5 }))
    .rejects.toMatchObject({ code: 'ERR_ASGI_REQUEST', message: /^body: / });
});

/** Dispatches to a handler that writes down what it is told. */
function record(dispatcher, path, { controllers, ...callbacks } = {}) {
  const calls = [];
  const ended = new Promise((resolve) => {
    const note = (name) => (...values) => {
      calls.push(name);
      const answer = callbacks[name]?.(...values);
      if (/onComplete|onError|onResponseEnd|onResponseError/.test(name)) resolve({ calls, last: values });
      return answer;
    };
    const legacy = ['onConnect', 'onBodySent', 'onRequestSent', 'onResponseStarted', 'onHeaders', 'onData',
      'onComplete', 'onError'];
    const current = ['onRequestStart', 'onResponseStart', 'onResponseData', 'onResponseEnd', 'onResponseError'];
    const handler = Object.fromEntries((controllers ? current : legacy).map((name) => [name, note(name)]));
    const body = callbacks.body;
    dispatcher.dispatch({ origin: ORIGIN, path, method: body ? 'POST' : 'GET', body }, handler);
  });
  return { calls, ended };
}

describe('the handlers', () => {
  test('of undici 6 are told each step once and in order', async () => {
    const { calls, last } = await record(dispatchers.upload_sink, '/', { body: 'whole' }).ended;
    expect(calls).toEqual(['onConnect', 'onBodySent', 'onRequestSent', 'onResponseStarted', 'onHeaders', 'onData',
      'onComplete']);
    expect(last).toEqual([[]]);
  });

  test('of undici 7 are told each step once and in order', async () => {
    let headers;
    const { calls, last } = await record(dispatchers.response_headers, '/', {
      controllers: true, onResponseStart: (controller, status, fields, text) => {
        headers = { status, fields, text, raw: controller.rawHeaders };
      },
    }).ended;
    expect(calls).toEqual(['onRequestStart', 'onResponseStart', 'onResponseData', 'onResponseEnd']);
    expect(headers).toMatchObject({
      status: 200, text: 'OK',
      fields: { 'set-cookie': ['first=1; Path=/', 'second=2; Path=/only'], 'x-latin': 'caf\xe9' },
    });
    expect(headers.raw).toContainEqual(Buffer.from('caf\xe9', 'latin1'));
    expect(last[1]).toEqual({});
  });

  test('of undici 6 stop the body by false, and go on by resume()', async () => {
    let resume;
    let size = 0;
    const { calls, ended } = record(dispatchers.stream, '/?count=20&size=65536', {
      onHeaders: (_status, _headers, goOn) => { resume = goOn; return false; },
      onData: (chunk) => { size += chunk.length; return false; },
    });
    await eventually(() => calls.includes('onHeaders'));
    await new Promise((resolve) => { setTimeout(resolve, 50); });
    expect(calls).not.toContain('onData');
    resume();
    await eventually(() => calls.includes('onData'));
    await new Promise((resolve) => { setTimeout(resolve, 50); });
    expect(calls.filter((name) => name === 'onData')).toHaveLength(1);
    const timer = setInterval(resume, 1);
    await ended;
    clearInterval(timer);
    expect(size).toBe(20 * 65536);
  });

  test('of undici 7 stop the body by pause(), and go on by resume()', async () => {
    let controller;
    let size = 0;
    const { calls, ended } = record(dispatchers.stream, '/?count=20&size=65536', {
      controllers: true,
      onRequestStart: (given) => { controller = given; controller.pause(); },
      onResponseData: (_, chunk) => { size += chunk.length; controller.pause(); },
    });
    await eventually(() => calls.includes('onResponseStart'));
    await new Promise((resolve) => { setTimeout(resolve, 50); });
    expect(calls).not.toContain('onResponseData');
    controller.resume();
    await eventually(() => calls.includes('onResponseData'));
    expect(controller.paused).toBe(true);
    const timer = setInterval(() => controller.resume(), 1);
    await ended;
    clearInterval(timer);
    expect(size).toBe(20 * 65536);
  });

  test.each([
    [6, 'onData', false], [7, 'onResponseData', true],
  ])('of undici %i that throw in %s end their request by their error', async (_, where, controllers) => {
    const thrown = new Error('not today');
    const { last, calls } = await record(dispatchers.stream, '/?count=1000&size=65536', {
      controllers, [where]: () => { throw thrown; },
    }).ended;
    expect(last.at(-1)).toBe(thrown);
    expect(calls.filter((name) => name === where)).toHaveLength(1);
  });

  test('that abort at the start hear of it once, and the app never', async () => {
    const before = handlers.echo.stats().total;
    for (const options of [
      { onConnect: (abort) => abort(new Error('at once')) },
      { controllers: true, onRequestStart: (controller) => controller.abort(new Error('at once')) },
    ]) {
      const { last, calls } = await record(dispatchers.echo, '/', options).ended;
      expect(last.at(-1).message).toBe('at once');
      expect(calls).toHaveLength(2);
    }
    expect(handlers.echo.stats().total).toBe(before);
  });

  test('get the trailers of the app', async () => {
    const { handler } = open('extensions');
    const { last } = await record(new PythonDispatcher(handler), '/trailers?key=dispatcher').ended;
    const fields = last[0].map(String);
    expect(fields).toEqual(['x-one', '1', 'x-two', '2', 'x-one', 'again']);
  });
});

describe('the end of a dispatcher', () => {
  test('close() lets what is under way end, and refuses more', async () => {
    const dispatcher = new PythonDispatcher(handlers.slow);
    const asked = undici.request(`${ORIGIN}/?seconds=0.2`, { dispatcher }).then(({ body }) => body.text());
    let ended = false;
    asked.then(() => { ended = true; });
    await dispatcher.close();
    await asked;
    expect(ended).toBe(true);
    expect(await asked).toBe('slept');
    expect(dispatcher.closed).toBe(true);
    await expect(undici.request(`${ORIGIN}/`, { dispatcher })).rejects.toMatchObject({ code: 'ERR_ASGI_CLOSED' });
    await expect(fetch(ORIGIN, { dispatcher })).rejects.toThrow('fetch failed');
    // Its handler is somebody else's.
    expect((await handlers.slow.handleRequest({ url: '/counts' })).status).toBe(200);
  });

  test('destroy() ends what is under way by its error', async () => {
    const dispatcher = new PythonDispatcher(handlers.disconnect);
    const asked = undici.request(`${ORIGIN}/wait`, { dispatcher });
    asked.catch(() => {});
    await dispatcher.destroy(new Error('going home'));
    await expect(asked).rejects.toThrow('going home');
    expect(dispatcher.destroyed).toBe(true);
  });

  test('both take a callback instead', async () => {
    const dispatcher = new PythonDispatcher(handlers.slow);
    await new Promise((resolve) => { dispatcher.close(resolve); });
    await new Promise((resolve) => { dispatcher.destroy(resolve); });
    await new Promise((resolve) => { dispatcher.destroy(new Error('x'), resolve); });
  });
});

test("an undici agent that is the process's own can be this one", async () => {
  const before = undici.getGlobalDispatcher();
  undici.setGlobalDispatcher(dispatchers.scope_dump);
  try {
    const { scope } = await (await undici.fetch(`${ORIGIN}/global`)).json();
    expect(scope.path).toBe('/global');
  } finally {
    undici.setGlobalDispatcher(before);
  }
});
