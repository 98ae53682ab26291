'use strict';

/** The ASGI extensions, by the ids E- of the checklist, behind node:http and node:http2; and 100-continue. */

const { once } = require('node:events');
const http = require('node:http');
const http2 = require('node:http2');
const net = require('node:net');

const { coreApps, eventually, later } = require('../helpers/core-apps');
const { headerValues, RawConnection, requestBytes } = require('../helpers/raw-http');

const { open, serve } = coreApps();
const TEXT = Array.from({ length: 40000 }, (_, n) => `line ${String(n).padStart(6, '0')}\n`).join('');
const closing = [];
let served;
let h2;

beforeAll(async () => {
  served = await serve('extensions');
  const server = http2.createServer(served.handler.listener()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session = http2.connect(`http://127.0.0.1:${server.address().port}`);
  closing.push(() => new Promise((resolve) => { session.close(() => server.close(resolve)); }));
  h2 = { server, session };
});

afterAll(async () => {
  for (const close of closing) await close();
});

const seen = async (key) => served.fetchJson(`/seen?key=${key}`);

/** @returns {Promise<{headers: any, body: string, trailers: any, hints: any[]}>} one HTTP/2 exchange */
async function fetchH2(path, headers = {}) {
  const stream = h2.session.request({ ':path': path, ...headers });
  const answer = { headers: {}, body: '', trailers: {}, hints: [] };
  stream.setEncoding('utf8');
  stream.on('response', (fields) => { answer.headers = fields; });
  stream.on('headers', (fields) => answer.hints.push(fields));
  stream.on('trailers', (fields) => { answer.trailers = fields; });
  stream.on('data', (text) => { answer.body += text; });
  await once(stream, 'close');
  return answer;
}

/** Everything a server answers on one connection until it closes it. */
async function conversation(port, text) {
  const socket = net.connect(port, '127.0.0.1', () => socket.write(text));
  let answer = '';
  socket.setEncoding('latin1').on('data', (data) => { answer += data; });
  await once(socket, 'close');
  return answer;
}

describe('what the scope offers', () => {
  test('S-28 over HTTP/1.1, HTTP/1.0, HTTP/2 and without a server', async () => {
    const one = { 'http.response.pathsend': {}, 'http.response.zerocopysend': {} };
    const all = { ...one, 'http.response.trailers': {}, 'http.response.early_hint': {} };
    expect(await served.fetchJson('/offered')).toEqual(all);
    expect(await served.fetchJson({ target: '/offered', version: '1.0' })).toEqual(one);
    expect(JSON.parse((await fetchH2('/offered')).body)).toEqual({ ...all, 'http.response.push': {} });
    expect((await served.handler.handleRequest({ url: '/offered' })).json()).toEqual({ 'http.response.trailers': {} });
  });

  test('X-07 a message of an extension that is not offered raises', async () => {
    const outcomes = await served.handler.handleRequest({ url: '/not-offered' });
    const raised = (name) => `RuntimeError: send(): 'http.response.${name}' is not in scope['extensions'] of this request`;
    const names = ['pathsend', 'zerocopysend', 'early_hint', 'push', 'debug'];
    expect(outcomes.json()).toEqual(Object.fromEntries(names.map((name) => [name, raised(name)])));
  });
});

describe('http.response.pathsend', () => {
  test('E-10 the file is the body, and the app\'s headers stay as they are', async () => {
    const plain = await served.fetch('/pathsend');
    expect(plain.body.toString()).toBe(TEXT);
    expect(headerValues(plain, 'transfer-encoding')).toEqual(['chunked']);
    const measured = await served.fetch('/pathsend?length=1');
    expect(measured.body.toString()).toBe(TEXT);
    expect(headerValues(measured, 'content-length')).toEqual([String(TEXT.length)]);
    expect((await fetchH2('/pathsend')).body).toBe(TEXT);
  });

  test('E-10 E-11 what is wrong with it is raised while another answer is possible', async () => {
    const outcomes = await served.fetchJson('/pathsend-errors?key=path');
    expect(outcomes).toEqual([
      expect.stringMatching(/^RuntimeError: .*http.response.start/),
      expect.stringMatching(/^ValueError: .*absolute path, got 'relative.txt'/),
      expect.stringMatching(/^TypeError: .*path: expected str, got bytes/),
      expect.stringMatching(/^FileNotFoundError: .*\/no\/such\/file/),
      expect.stringMatching(/^ValueError: .*regular file/),
      expect.stringMatching(/^TypeError: .*path: expected str, got NoneType/),
      expect.stringMatching(/^ValueError: .*no 'path'/),
    ]);
    expect(await seen('path')).toMatch(/^RuntimeError: .*cannot follow 'http.response.body'/);
  });

  test('H-27 a file that does not fit the content-length raises, and the app may answer otherwise', async () => {
    expect((await served.fetch('/pathsend-wrong-length?key=length')).body.toString()).toBe('right');
    expect(await seen('length')).toMatch(/content-length promised 5 bytes/);
  });

  test('E-11 HEAD sends nothing, and an empty file is an empty body', async () => {
    const head = await served.fetch({ method: 'HEAD', target: '/pathsend?length=1' }, { method: 'HEAD' });
    expect(headerValues(head, 'content-length')).toEqual([String(TEXT.length)]);
    expect(head.body).toHaveLength(0);
    expect((await served.fetch('/pathsend-then-body')).body.toString()).toBe('');
  });

  test('E-11 a client that leaves stops the read, and no descriptor stays open', async () => {
    const fs = require('node:fs');
    const descriptors = () => fs.readdirSync('/proc/self/fd').length;
    const before = descriptors();
    for (let round = 0; round < 20; round += 1) {
      const connection = await RawConnection.open(served.port);
      connection.write(requestBytes({ target: '/pathsend' }));
      await later(2);
      connection.destroy();
    }
    await eventually(() => descriptors() <= before);
  });
});

describe('http.response.zerocopysend', () => {
  test('E-07 E-08 E-09 parts mix with body messages in order; the app closes its file at once', async () => {
    const expected = `begin${TEXT.slice(0, 22)}${TEXT.slice(11)}end`;
    const answer = await served.fetch('/zerocopy');
    expect(answer.body.toString()).toBe(expected);
    expect((await fetchH2('/zerocopy')).body).toBe(expected);
  });

  test('E-07 offset and count; the last part ends the response', async () => {
    expect((await served.fetch('/zerocopy-last')).body.toString()).toBe(TEXT.slice(12, 23));
  });

  test('E-08 HEAD sends nothing', async () => {
    const head = await served.fetch({ method: 'HEAD', target: '/zerocopy' }, { method: 'HEAD' });
    expect(head.body).toHaveLength(0);
  });

  test('E-07 what is no regular file with a descriptor raises', async () => {
    expect(await served.fetchJson('/zerocopy-errors')).toEqual([
      expect.stringMatching(/fileno/), expect.stringMatching(/no 'file'/), expect.stringMatching(/regular file/),
      expect.stringMatching(/^ValueError: .*0 or more, got -1/), expect.stringMatching(/^TypeError: .*expected int, got str/),
    ]);
  });
});

describe('http.response.trailers', () => {
  const wanted = [['te', 'gzip, Trailers;q=0.5']];

  test('E-14 E-15 E-16 all of them follow the body of a client that wants them, forbidden ones left out', async () => {
    const request = requestBytes({ target: '/trailers?key=t', headers: [...wanted, ['connection', 'close']] }).toString('latin1');
    const answer = await conversation(served.port, request);
    // Node 26 makes one chunk of writes that leave together.
    expect(answer).toMatch(/\r\n(4\r\nthe \r\n4\r\nbody|8\r\nthe body)\r\n0\r\nx-one: 1\r\nx-two: 2\r\nx-one: again\r\n\r\n$/);
    expect(await seen('t')).toMatch(/^RuntimeError: .*expected 'http.response.trailers', got 'http.response.body'/);
    const h2answer = await fetchH2('/trailers', { te: 'trailers' });
    expect(h2answer.body).toBe('the body');
    expect(h2answer.trailers).toMatchObject({ 'x-two': '2' });
  });

  test('E-15 without TE: trailers they are dropped, and the response is whole', async () => {
    const answer = await conversation(served.port, 'GET /trailers HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    expect(answer).toMatch(/\r\n0\r\n\r\n$/);
  });

  test('E-14 in process they are on the response and on the stream', async () => {
    const whole = await served.handler.handleRequest({ url: '/trailers' });
    expect(whole.text()).toBe('the body');
    expect([...whole.trailers]).toEqual([['x-one', '1'], ['x-two', '2'], ['x-one', 'again']]);
    const stream = await served.handler.handleStream({ url: '/trailers' });
    for await (const chunk of stream) expect(chunk.length).toBeGreaterThan(0);
    expect(stream.trailers.getAll('x-one')).toEqual(['1', 'again']);
  });

  test('E-16 trailers that were not announced raise', async () => {
    for (const outcome of await served.fetchJson('/trailers-errors')) expect(outcome).toMatch(/^RuntimeError: .*'trailers': True/);
  });

  test('X-14 trailers that were promised and never came are an aborted response', async () => {
    await expect(served.fetch('/trailers-missing')).rejects.toThrow();
    expect(served.errors.splice(0)).toMatchObject([{ code: 'ERR_ASGI_INCOMPLETE_RESPONSE' }]);
  });
});

describe('http.response.early_hint', () => {
  test('E-12 E-13 several 103 responses before the head, none after it', async () => {
    const answer = await conversation(served.port, 'GET /hints HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    const parts = answer.split('\r\n\r\n').filter((part) => part.startsWith('HTTP/1.1 103'));
    expect(parts.map((part) => part.split('\r\n').slice(1))).toEqual([
      ['Link: </a.css>; rel=preload; as=style'],
      ['Link: </b.js>; rel=preload; as=script, </c.js>; rel=preload'],
      ['Link: </e.js>; rel=preload'],
    ]);
    expect(answer).toMatch(/HTTP\/1\.1 200 OK/);
    expect(answer).not.toContain('late');
    expect(answer).toContain('expected bytes, got str');
    expect(answer).toContain('control character');
  });

  test('E-12 over HTTP/2', async () => {
    const { hints, headers } = await fetchH2('/hints');
    expect(headers[':status']).toBe(200);
    expect(hints.map((hint) => hint[':status'])).toEqual([103, 103, 103]);
    expect(hints[0].link).toBe('</a.css>; rel=preload; as=style');
  });

  test('E-13 an HTTP/1.0 client hears nothing of it', async () => {
    const answer = await conversation(served.port, 'GET /not-offered HTTP/1.0\r\n\r\n');
    expect(answer).toContain("'http.response.early_hint' is not in scope");
    expect(answer).not.toContain('103');
  });
});

async function textOf(stream) {
  let text = '';
  for await (const part of stream.setEncoding('utf8')) text += part;
  return text;
}

test('E-04 E-05 E-06 http.response.push: the pushed request runs in the app', async () => {
  const stream = h2.session.request({ ':path': '/push' });
  const parent = textOf(stream);
  const [pushed, promise] = await once(h2.session, 'stream');
  expect(promise).toMatchObject({ ':path': '/pushed?a=b', ':method': 'GET', 'x-pushed': 'yes' });
  const [[headers], body] = await Promise.all([
    once(pushed, 'push'),
    textOf(pushed),
  ]);
  expect(headers[':status']).toBe(200);
  const host = promise[':authority'];
  expect(JSON.parse(body)).toEqual({
    path: '/pushed', query: 'a=b', method: 'GET', headers: { host, 'x-pushed': 'yes' }, message: false, scheme: 'http',
  });
  expect(JSON.parse(await parent)).toEqual([
    expect.stringMatching(/http.response.start/), expect.stringMatching(/expected str, got bytes/),
    expect.stringMatching(/token characters, got ':authority'/),
  ]);
});

test('E-05 a client that refuses pushes is not offered them', async () => {
  const session = http2.connect(`http://127.0.0.1:${h2.server.address().port}`, { settings: { enablePush: false } });
  await once(session, 'remoteSettings');
  const stream = session.request({ ':path': '/offered' });
  let body = '';
  for await (const part of stream.setEncoding('utf8')) body += part;
  expect(JSON.parse(body)).not.toHaveProperty(['http.response.push']);
  session.close();
});

test('E-17 http.response.debug exists only for tests, once and before the start', async () => {
  expect(await served.fetchJson('/offered')).not.toHaveProperty(['http.response.debug']);
  const testing = open('extensions', { testing: true });
  const response = await testing.handler.handleRequest({ url: '/debug' });
  expect(response.debug).toEqual({ template: 'index.html', context: "<class 'object'>" });
  expect(response.json()).toEqual(['nothing', expect.stringMatching(/once, before/), expect.stringMatching(/once, before/)]);
  const stream = await testing.handler.handleStream({ url: '/debug' });
  expect(stream.debug).toMatchObject({ template: 'index.html' });
  stream.resume();
});

describe('H-14 Expect: 100-continue with attach()', () => {
  let port;
  beforeAll(async () => {
    const server = http.createServer((req, res) => {
      if (req.url.startsWith('/node')) req.on('data', () => {}).on('end', () => res.end('node has read it'));
      else served.handler.listener()(req, res);
    });
    expect(served.handler.attach(server)).toBe(served.handler);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.push(() => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }));
    ({ port } = server.address());
  });

  const head = (target) => `POST ${target} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n`;

  const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';

  /** Sends the body once the server asks for it; what had come at first, and all that came. */
  async function ask(target) {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(head(target)));
    let text = '';
    socket.setEncoding('latin1').on('data', (data) => { text += data; });
    await later(100);
    const early = text;
    await eventually(() => text !== '');
    if (text === CONTINUE) {
      socket.write('body');
      await eventually(() => text.endsWith('0\r\n\r\n') || text.endsWith('read it'));
    }
    socket.destroy();
    return { early, all: text };
  }

  test('the 100 is written on the first receive(), not at arrival', async () => {
    const { early, all } = await ask('/reads-later?seconds=0.3');
    expect(early).toBe('');
    expect(all).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK[^]*\r\nbody\r\n/);
    expect((await ask('/reads-later')).early).toBe(CONTINUE);
  });

  test('and not at all when the app answers without: the connection ends with the answer', async () => {
    const { all } = await ask('/never-reads');
    expect(all).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*connection: close[^]*not wanted/i);
    expect(all).not.toContain('100 Continue');
  });

  test('other routes of the server are served as ever', async () => {
    const { early, all } = await ask('/node');
    expect(early).toBe(CONTINUE);
    expect(all).toMatch(/node has read it$/);
  });
});
