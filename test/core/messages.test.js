'use strict';

/** receive() and send(): checklist lines H-xx. */

const { coreApps, eventually, jsonOf, later } = require('../helpers/core-apps');
const { chunkBytes, fetchRaw, headerValues, IncompleteResponse, RawConnection, requestBytes } = require('../helpers/raw-http');

const { serve } = coreApps();

/** rules behind node:http. */
let rules;
const served = {};

// Unique in the process: all files of a run share one Python, and with it the module that keeps the records.
const newKey = () => crypto.randomUUID();
const seen = (key) => rules.fetchJson(`/seen?key=${key}`);
const kept = (key) => eventually(() => seen(key));

beforeAll(async () => {
  rules = await serve('rules');
  for (const name of ['bodies', 'context_variable', 'disconnect', 'echo', 'response_headers', 'status', 'stream', 'background', 'hello']) {
    served[name] = await serve(name);
  }
});

/** Opens a connection and sends what is given. */
async function sent(port, ...pieces) {
  const connection = await RawConnection.open(port);
  for (const piece of pieces) await connection.write(piece);
  return connection;
}

describe('receiving', () => {
  test('H-01 the app is called once per request, in a task and a context of its own', async () => {
    const { fetch } = served.context_variable;
    for (const target of ['/one', '/two']) {
      const response = await fetch(target);
      expect(response.body.toString()).toBe('unset');
      expect(headerValues(response, 'x-kept')).toEqual([target]);
      expect(headerValues(response, 'x-task')).toEqual(['Task']);
    }
    const before = served.context_variable.handler.stats().total;
    await fetch('/three');
    expect(served.context_variable.handler.stats().total).toBe(before + 1);
  });

  const empty = [
    ['GET', undefined], ['POST', ''], ['DELETE', undefined], ['POST', []],
  ];
  test.each(empty)('H-02 %s without content: one http.request with an empty body', async (method, body) => {
    const { messages, exact } = await rules.fetchJson({ method, target: '/messages', body });
    expect(messages).toEqual([['http.request', 'bytes', 0, false]]);
    expect(exact).toBe(true);
  });

  test('H-03 H-05 the pieces are bytes and add up; only the last has more_body False', async () => {
    const body = Buffer.alloc(700_001, 'abcdefg');
    const { messages, exact } = await rules.fetchJson({ method: 'POST', target: '/messages', body });
    expect(exact).toBe(true);
    expect(messages.reduce((sum, [, , size]) => sum + size, 0)).toBe(body.length);
    expect(messages.map(([, , , more]) => more)).toEqual([...Array(messages.length - 1).fill(true), false]);
    expect(new Set(messages.map(([type, kind]) => `${type} ${kind}`))).toEqual(new Set(['http.request bytes']));
  });

  test('H-04 chunk extensions and trailers are dropped, Content-Encoding is left alone', async () => {
    const head = 'POST /messages HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n';
    const connection = await sent(rules.port, `${head}3;a=b\r\none\r\n3\r\ntwo\r\n0\r\nx-trailer: 1\r\n\r\n`);
    expect(jsonOf(await connection.readResponse()).text).toBe('onetwo');
    connection.destroy();
  });

  test('H-06 the first piece comes back before the second is sent', async () => {
    const connection = await sent(served.echo.port,
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', chunkBytes('first'));
    let told;
    const first = new Promise((resolve) => { told = resolve; });
    const whole = connection.readResponse({ onData: (data) => told(data.toString()) });
    expect(await first).toBe('first');
    await connection.write(Buffer.concat([chunkBytes(', second'), Buffer.from('0\r\n\r\n')]));
    expect((await whole).body.toString()).toBe('first, second');
    connection.destroy();
  });

  test('H-08 after the body receive() waits, until the response has ended', async () => {
    const key = newKey();
    expect(await rules.fetchJson({ method: 'POST', target: `/after-body?key=${key}`, body: 'x' })).toEqual({ pending: true });
    expect(await kept(key)).toEqual(['http.disconnect']);
  });

  test('H-09 a truncated body never looks whole', async () => {
    await served.disconnect.fetch('/forget');
    const connection = await sent(served.disconnect.port, 'POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf');
    await eventually(async () => (await served.disconnect.fetchJson('/records')).length > 0);
    connection.reset();
    const records = await eventually(async () => {
      const all = await served.disconnect.fetchJson('/records');
      return all.length >= 3 && all;
    });
    expect(records).toEqual([['request', 4, false], ['http.disconnect', 4, false], ['again', 'http.disconnect']]);
  });

  test.each(['reset', 'destroy'])('H-10 a client that leaves by %s wakes a waiting receive', async (how) => {
    await served.disconnect.fetch('/forget');
    const connection = await sent(served.disconnect.port, requestBytes({ target: '/wait' }));
    await eventually(async () => (await served.disconnect.fetchJson('/records')).length === 1);
    await later(20);
    const left = Date.now();
    connection[how]();
    await eventually(async () => (await served.disconnect.fetchJson('/records')).length === 3, { every: 2 });
    expect(Date.now() - left).toBeLessThan(1000);
  });

  test('H-11 H-12 after the response receive() is http.disconnect: at once, then yielding to the loop', async () => {
    const key = newKey();
    await rules.fetch(`/after-response?key=${key}`);
    const record = await kept(key);
    expect(record).toMatchObject({ first: 'http.disconnect', second: 'suspended', later: ['http.disconnect'] });
    expect(record.turns).toBeGreaterThanOrEqual(10);
  });

  test('H-13 a body that came whole is given out before the disconnect', async () => {
    const key = newKey();
    const connection = await sent(rules.port, requestBytes({ method: 'POST', target: `/late-read?key=${key}`, body: 'whole' }));
    await later(50);
    connection.reset();
    await later(50);
    expect(await rules.fetchJson(`/open-gate?key=${key}`)).toBe(true);
    const got = await kept(key);
    expect(got.at(-1)).toEqual(['http.disconnect', 0, null]);
    const requests = got.slice(0, -1);
    expect(requests.reduce((sum, [, size]) => sum + size, 0)).toBe(5);
    expect(requests.at(-1)[2]).toBe(false);
  });

  test('X-19 receive() and send() work in tasks, wait_for and gather', async () => {
    expect((await rules.fetch('/in-tasks')).body.toString()).toBe('http.request');
  });

  test('X-20 a cancelled receive() loses nothing', async () => {
    const connection = await sent(rules.port,
      'POST /cancelled-receive HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (const piece of ['one,', 'two,', 'three']) {
      await later(60);
      await connection.write(chunkBytes(piece));
    }
    await connection.write('0\r\n\r\n');
    const { timeouts, body } = jsonOf(await connection.readResponse());
    expect(body).toBe('one,two,three');
    expect(timeouts).toBeGreaterThan(2);
    connection.destroy();
  });

  test('X-20 a send() cancelled while it waits leaves the framing whole', async () => {
    const key = newKey();
    const connection = await RawConnection.open(rules.port);
    connection.pause();
    await connection.write(requestBytes({ target: `/cancelled-send?key=${key}` }));
    const { sent: count, cancelled } = await eventually(() => seen(key), { timeout: 10_000 });
    connection.resume();
    const response = await connection.readResponse();
    connection.destroy();
    expect(cancelled).toBe(1);
    const pieces = Array.from({ length: count }, (_, n) => String(n).padStart(4, '0').repeat(8192)).join('');
    expect(response.body.length).toBe(pieces.length + 3);
    expect(response.body.toString() === `${pieces}end`).toBe(true);
  });

  test('X-21 two receive() at once both end, in order', async () => {
    const connection = await sent(rules.port,
      'POST /concurrent-receives HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    await later(30);
    await connection.write(chunkBytes('first'));
    await later(30);
    await connection.write(chunkBytes('second'));
    expect(jsonOf(await connection.readResponse())).toEqual(['first', 'second']);
    connection.destroy();
  });
});

describe('the response head', () => {
  test('H-16 an error after a start without a body is still a 500', async () => {
    expect((await rules.fetch('/start-then-raise')).status).toBe(500);
  });

  test('H-16b a head without a body goes out after a short while', async () => {
    const key = newKey();
    const connection = await sent(rules.port, requestBytes({ target: `/start-only?key=${key}` }));
    let told;
    const head = new Promise((resolve) => { told = resolve; });
    const whole = connection.readResponse({ onHead: (response) => told(headerValues(response, 'x-early')) });
    expect(await head).toEqual(['1']);
    await rules.fetch(`/let-go?key=${key}`);
    expect((await whole).body.toString()).toBe('late');
    connection.destroy();
  });

  test('H-16b the head of text/event-stream goes out with the start', async () => {
    const connection = await sent(rules.port, requestBytes({ target: '/event-stream' }));
    const began = Date.now();
    let after = Infinity;
    const whole = connection.readResponse({ onHead: () => { after = Date.now() - began; } });
    expect((await whole).body.toString()).toBe('data: 1\n\n');
    // The app holds its loop for 300 ms after the start.
    expect(after).toBeLessThan(250);
    connection.destroy();
  });

  test('H-17 headers may be absent', async () => {
    const response = await served.response_headers.fetch('/absent');
    expect([response.status, response.body.toString()]).toEqual([200, 'headers']);
  });

  const expected = [
    ['content-type', 'text/plain'], ['set-cookie', 'first=1; Path=/'], ['x-mixed-case', 'kept'],
    ['set-cookie', 'second=2; Path=/only'], ['x-latin', 'caf\xe9'], ['x-empty', ''],
  ];
  const lowered = (response) => response.headers.map(([name, value]) => [name.toLowerCase(), value]);

  test.each(['/list', '/tuple', '/lists', '/generator'])(
    'H-18 H-19 H-20 H-21 headers as %s: order, repetition and bytes stay', async (target) => {
      const response = await served.response_headers.fetch(target);
      expect(lowered(response).slice(0, expected.length)).toEqual(expected);
      const inProcess = await served.response_headers.handler.handleRequest({ url: target });
      expect([...inProcess.headers]).toEqual(expected);
      expect(inProcess.headers.getSetCookie()).toEqual(['first=1; Path=/', 'second=2; Path=/only']);
    });

  test('H-18 headers as the items of a dict', async () => {
    const response = await served.response_headers.fetch('/items');
    expect(headerValues(response, 'set-cookie')).toEqual(['second=2; Path=/only']);
    expect(headerValues(response, 'x-mixed-case')).toEqual(['kept']);
  });

  test('H-23 a Transfer-Encoding of the app is dropped; the framing is the server\'s', async () => {
    const response = await served.response_headers.fetch('/transfer-encoding');
    expect(response.body.toString()).toBe('headers');
    expect(headerValues(response, 'x-after')).toEqual(['1']);
    expect(headerValues(response, 'transfer-encoding').length).toBeLessThan(2);
    const inProcess = await served.response_headers.handler.handleRequest({ url: '/transfer-encoding' });
    expect(inProcess.headers.has('transfer-encoding')).toBe(false);
  });

  test('H-25 H-26 chunked without a Content-Length, and not with one', async () => {
    const streamed = await served.stream.fetch('/?count=3&size=5');
    expect(streamed.framing).toBe('chunked');
    const whole = await served.hello.fetch('/');
    expect(headerValues(whole, 'content-length')).toEqual(['13']);
    expect(whole.framing).toBe('length');
  });

  test('H-25 HTTP/1.0 is framed by the end of the connection', async () => {
    const response = await served.stream.fetch({ target: '/?count=3&size=5', version: '1.0' });
    expect(headerValues(response, 'transfer-encoding')).toEqual([]);
    expect(response.body.length).toBe(15);
  });

  test.each([200, 299, 404, 418, 599])('H-36 status %i', async (status) => {
    expect((await served.status.fetch(`/${status}`)).status).toBe(status);
    expect((await served.status.handler.handleRequest({ url: `/${status}` })).status).toBe(status);
  });

  test('H-36 an IntEnum is a status', async () => {
    expect((await rules.fetch('/status-types')).status).toBe(202);
  });

  test('H-43 a date is added, unless the app has sent its own', async () => {
    expect(headerValues(await served.hello.fetch('/'), 'date')).toHaveLength(1);
    const own = await rules.fetch('/own-date');
    expect(headerValues(own, 'date')).toEqual(['Thu, 01 Jan 1970 00:00:00 GMT']);
    expect(headerValues(own, 'server')).toEqual(['mine']);
  });
});

describe('the response body', () => {
  test('H-27 what exceeds Content-Length raises and never reaches the wire', async () => {
    const key = newKey();
    const connection = await sent(rules.port, requestBytes({ target: `/too-long?key=${key}` }));
    expect((await connection.readResponse()).body.toString()).toBe('fits');
    // The connection is still in step.
    await connection.write(requestBytes({ target: `/seen?key=${key}` }));
    expect(jsonOf(await connection.readResponse())).not.toBe('nothing raised');
    connection.destroy();
  });

  test('H-28 a bare body message ends the response', async () => {
    expect((await served.bodies.fetch('/bare')).body.length).toBe(0);
    expect((await served.bodies.handler.handleRequest({ url: '/bare' })).body.length).toBe(0);
  });

  test('H-29 empty pieces do not end the response', async () => {
    expect((await served.bodies.fetch('/empty-chunks')).body.toString()).toBe('not empty');
  });

  test('H-30 bytearray and memoryview are bodies', async () => {
    expect((await served.bodies.fetch('/bytearray')).body.toString()).toBe('bytearray');
    expect((await served.bodies.fetch('/memoryview')).body.toString()).toBe('memoryview');
  });

  test('H-31 HEAD keeps Content-Length, sends no bytes, and the connection goes on', async () => {
    const connection = await sent(served.hello.port, requestBytes({ method: 'HEAD' }));
    const head = await connection.readResponse({ method: 'HEAD' });
    expect([head.status, ...headerValues(head, 'content-length')]).toEqual([200, '13']);
    await connection.write(requestBytes({}));
    expect((await connection.readResponse()).body.toString()).toBe('Hello, world!');
    connection.destroy();
  });

  test('H-31 HEAD of a stream of many pieces ends', async () => {
    const connection = await sent(served.stream.port, requestBytes({ method: 'HEAD', target: '/?count=200&size=5000' }));
    expect((await connection.readResponse({ method: 'HEAD' })).status).toBe(200);
    await connection.write(requestBytes({ target: '/sent' }));
    expect((await connection.readResponse()).body.toString()).toBe('200');
    connection.destroy();
    const whole = await served.stream.handler.handleRequest({ method: 'HEAD', url: '/?count=2&size=5' });
    expect(whole.body.length).toBe(0);
  });

  test.each([204, 304])('H-32 %i has neither body nor framing, and the connection goes on', async (status) => {
    const connection = await sent(served.status.port, requestBytes({ target: `/${status}` }));
    const response = await connection.readResponse();
    expect(response.status).toBe(status);
    expect(headerValues(response, 'transfer-encoding')).toEqual([]);
    await connection.write(requestBytes({ target: '/200' }));
    expect((await connection.readResponse()).body.toString()).toBe('status');
    connection.destroy();
    expect((await served.status.handler.handleRequest({ url: `/${status}` })).body.length).toBe(0);
  });

  test('H-33 a client that does not read stops the app, and gets everything later', async () => {
    const connection = await RawConnection.open(served.stream.port);
    connection.pause();
    await connection.write(requestBytes({ target: '/?count=2000&size=32768' }));
    const progress = async () => Number((await served.stream.fetch('/sent')).body);
    let before = -1;
    const stopped = await eventually(async () => {
      await later(100);
      const now = await progress();
      const same = now === before;
      before = now;
      return same && now > 0 && now;
    });
    expect(stopped).toBeLessThan(1500);
    connection.resume();
    expect((await connection.readResponse()).body.length).toBe(2000 * 32768);
    connection.destroy();
  });

  test('H-38 send() works while a receive() waits', async () => {
    const key = newKey();
    expect(await rules.fetchJson(`/both-directions?key=${key}`)).toEqual({ waiting: true });
    expect(await kept(key)).toBe('http.disconnect');
  });

  test('H-39 send() of many tasks at once: every piece stays in one piece', async () => {
    const { body } = await rules.fetch('/concurrent-sends');
    const expected = Array.from({ length: 20 }, (_, n) => String.fromCharCode(65 + n).repeat(30000)).join('');
    expect(body.toString() === `${expected}.`).toBe(true);
  });

  test('H-41 pipelined requests are answered in order', async () => {
    const requests = Array.from({ length: 10 }, (_, n) => requestBytes({ target: `/?count=1&size=${n + 1}` }));
    const connection = await sent(served.stream.port, Buffer.concat(requests));
    const sizes = [];
    for (let n = 0; n < 10; n += 1) sizes.push((await connection.readResponse()).body.length);
    connection.destroy();
    expect(sizes).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });
});

describe('after the response', () => {
  test('H-44 H-42 the client has its answer while the app goes on, and its leaving does not cancel it', async () => {
    const key = newKey();
    const began = Date.now();
    const connection = await sent(rules.port, requestBytes({ target: `/linger?key=${key}` }));
    expect(jsonOf(await connection.readResponse())).toBe('answered');
    expect(Date.now() - began).toBeLessThan(350);
    connection.reset();
    expect(await seen(key)).toBeNull();
    expect(await kept(key)).toBe('finished');
  });

  test('H-42 an exception after the response is reported, and the client has a whole answer', async () => {
    const { fetch, errors } = served.background;
    expect((await fetch('/fail')).body.toString()).toBe('answered');
    await eventually(() => errors.length > 0);
    expect(errors).toMatchObject([{ code: 'ERR_PYTHON_EXCEPTION', pythonMessage: 'after the response' }]);
  });

  test('a connection is used again after a 500 and after an early answer', async () => {
    const raising = await serve('error_before_start');
    const connection = await sent(raising.port, requestBytes({}));
    expect((await connection.readResponse()).status).toBe(500);
    connection.destroy();
    expect((await raising.fetch('/')).status).toBe(500);
    expect(raising.errors).toHaveLength(2);

    const sink = await serve('upload_sink');
    const upload = requestBytes({ method: 'POST', target: '/ignore', body: Buffer.alloc(300_000, 1) });
    const other = await sent(sink.port, upload, requestBytes({ method: 'POST', target: '/', body: 'next' }));
    expect(jsonOf(await other.readResponse())).toEqual({ ignored: true });
    expect(jsonOf(await other.readResponse())).toMatchObject({ size: 4 });
    other.destroy();
  });
});

describe('a response that breaks off', () => {
  test.each(['/', '/open', '/length'])('X-13 X-14 H-27 error_after_start %s never looks whole', async (target) => {
    const { port, handler, errors } = await serve('error_after_start');
    await expect(fetchRaw(port, { target })).rejects.toThrow(IncompleteResponse);
    await eventually(() => errors.length > 0);
    await expect(handler.handleRequest({ url: target })).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_/) });
    const stream = await handler.handleStream({ url: target });
    await expect((async () => { for await (const piece of stream) piece.length; })()).rejects.toMatchObject({
      code: target === '/open' ? 'ERR_ASGI_INCOMPLETE_RESPONSE' : 'ERR_PYTHON_EXCEPTION',
    });
  });
});
