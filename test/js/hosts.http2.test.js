'use strict';

/** A Python app behind node:http2: in clear text, over TLS, and beside HTTP/1.1 on one port. */

const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const http2 = require('node:http2');
const { Readable } = require('node:stream');
const tls = require('node:tls');

const { PythonHandler } = require('../..');
const { CORE, eventually } = require('../helpers/core-apps');
const {
  askHttp1, askHttp2, bytesOf, closeServer, exchange, hostSuite, inside, listening, openApp, selfSigned, sha256,
} = require('../helpers/host-suite');

const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = http2.constants;

const opened = openApp();
const stream = new PythonHandler({ docroot: CORE, target: 'stream:app' });
const files = new PythonHandler({ docroot: CORE, target: 'extensions:app' });
const warnings = [];
const noteWarning = (warning) => warnings.push(warning.message);
const sessions = [];
const servers = [];
let ports;

/** @param {PythonHandler} handler @returns {Promise<number>} the port of a server in clear text */
async function serve(handler) {
  const server = http2.createServer(handler.listener());
  servers.push(server);
  return listening(server);
}

/** @param {string} origin */
function connect(origin) {
  const session = http2.connect(origin, { rejectUnauthorized: false });
  session.on('error', () => {});
  sessions.push(session);
  return session;
}

beforeAll(async () => {
  process.on('warning', noteWarning);
  const secure = http2.createSecureServer({ ...selfSigned(), allowHTTP1: true }, opened.handler.listener());
  servers.push(secure);
  ports = { clear: await serve(opened.handler), secure: await listening(secure) };
  await Promise.all([opened.handler, stream, files].map((handler) => handler.ready()));
});

afterAll(async () => {
  for (const session of sessions) session.destroy();
  await Promise.all(servers.map(closeServer));
  await Promise.all([opened.handler, stream, files].map((handler) => handler.close()));
  process.off('warning', noteWarning);
});

describe('h2c', () => {
  let session;
  beforeAll(() => { session = connect(`http://127.0.0.1:${ports.clear}`); });

  hostSuite(() => ({ ask: askHttp2(session), prefix: '', ...inside(opened) }), {
    httpVersion: '2',
  });
});

describe("the core API, by the event 'stream'", () => {
  let session;
  beforeAll(async () => {
    const server = http2.createServer({ settings: { enableConnectProtocol: true } });
    // Beside streams that are somebody else's.
    const listener = opened.handler.listener();
    server.on('stream', (asked, headers, flags, raw) => {
      if (headers[':path'] === '/own') asked.respond({ ':status': 202 }, { endStream: true });
      else listener(asked, headers, flags, raw);
    });
    servers.push(server);
    session = connect(`http://127.0.0.1:${await listening(server)}`);
  });

  hostSuite(() => ({ ask: askHttp2(session), prefix: '', ...inside(opened) }), { httpVersion: '2' });

  test('a server keeps the streams that it answers itself, and CONNECT is answered 405', async () => {
    for (const [headers, status] of [[{ ':path': '/own' }, 202], [{ ':method': 'CONNECT', ':authority': 'a.test:1' }, 405]]) {
      const asked = session.request(headers);
      const [answer] = await once(asked, 'response');
      expect(answer[':status']).toBe(status);
      asked.close();
    }
  });
});

describe('h2 over TLS', () => {
  let session;
  beforeAll(() => { session = connect(`https://127.0.0.1:${ports.secure}`); });

  hostSuite(() => ({ ask: askHttp2(session), prefix: '', ...inside(opened) }), {
    httpVersion: '2', scheme: 'https',
  });

  test('ALPN has chosen it', async () => {
    if (session.connecting) await once(session, 'connect');
    expect(session.alpnProtocol).toBe('h2');
  });
});

describe('HTTP/1.1 over TLS on the same port', () => {
  hostSuite(() => ({
    ask: askHttp1(`https://127.0.0.1:${ports.secure}`), prefix: '', ...inside(opened),
  }), { scheme: 'https' });

  test('is what a client gets that offers nothing else', async () => {
    const socket = tls.connect({
      port: ports.secure, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'],
    });
    await once(socket, 'secureConnect');
    expect(socket.alpnProtocol).toBe('http/1.1');
    socket.destroy();
  });
});

describe('the fields of a request', () => {
  const scopeOf = async (headers) => {
    const session = connect(`http://127.0.0.1:${ports.clear}`);
    const asked = session.request({ ':path': '/json', ...headers });
    const { scope } = JSON.parse(String(await bytesOf(asked)));
    return scope;
  };

  test('S-20 :authority is the host, first, and no pseudo-header is left', async () => {
    const { headers } = await scopeOf({ ':authority': 'name.example:8443', 'x-one': '1' });
    expect(headers[0]).toEqual(['host', 'name.example:8443']);
    expect(headers.filter(([name]) => name === 'host')).toHaveLength(1);
    expect(headers.filter(([name]) => name.startsWith(':'))).toEqual([]);
    expect(headers).toContainEqual(['x-one', '1']);
  });

  test('S-20 :authority takes the place of a host field', async () => {
    const { headers } = await scopeOf({ ':authority': 'right.example', host: 'wrong.example' });
    expect(headers.filter(([name]) => name === 'host')).toEqual([['host', 'right.example']]);
  });

  test('S-20 a request with host and without :authority keeps its host', async () => {
    const session = connect(`http://127.0.0.1:${ports.clear}`);
    // Node's client leaves :authority out where there is a host.
    const asked = session.request({ ':path': '/json', host: 'host.example' });
    const { scope } = JSON.parse(String(await bytesOf(asked)));
    expect(scope.headers.filter(([name]) => name === 'host')).toEqual([['host', 'host.example']]);
  });

  test('S-21 several cookie fields stay several', async () => {
    const { headers } = await scopeOf({ cookie: ['a=1', 'b=2; c=3'] });
    expect(headers.filter(([name]) => name === 'cookie').map(([, value]) => value)).toEqual(['a=1', 'b=2; c=3']);
  });

  test('S-06 S-08 S-23 version, scheme, client and server', async () => {
    expect(await scopeOf({})).toMatchObject({
      http_version: '2', scheme: 'http', client: ['127.0.0.1', expect.any(Number)],
      server: ['127.0.0.1', ports.clear],
    });
  });
});

test('H-25 fields of a connection are dropped, and Node has nothing to warn of', async () => {
  const session = connect(`http://127.0.0.1:${ports.clear}`);
  const answer = await exchange(askHttp2(session), { path: '/connection' });
  expect(answer.status).toBe(200);
  expect(answer.text).toBe('connection');
  expect(answer.values('x-kept')).toEqual(['yes']);
  const names = answer.headers.map(([name]) => name);
  for (const name of ['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']) {
    expect(names).not.toContain(name);
  }
  await new Promise((resolve) => { setImmediate(resolve); });
  expect(warnings.filter((message) => /header|connection/i.test(message))).toEqual([]);
});

test('H-41 streams of one session are answered in the order of the app, each with its own', async () => {
  const session = connect(`http://127.0.0.1:${ports.clear}`);
  const ask = askHttp2(session);
  const waiting = ask({ path: '/stream' });
  waiting.upload.end();
  const { body } = await waiting.response;
  const pieces = body[Symbol.asyncIterator]();
  expect((await pieces.next()).value.toString()).toBe('data: first\n\n');
  // The first stream is still open: others overtake it.
  const paths = Array.from({ length: 50 }, (_, number) => `/json?${number}`);
  const answers = await Promise.all(paths.map((path) => exchange(ask, { path })));
  expect(answers.map((answer) => answer.json().scope.query_string)).toEqual(answers.map((_, number) => String(number)));
  expect((await exchange(ask, { path: '/open' })).json()).toBe(1);
  let rest = '';
  for (let next = await pieces.next(); !next.done; next = await pieces.next()) rest += next.value;
  expect(rest).toBe('data: last\n\n');
});

test('20 MB go up and come down on one stream, at the same time', async () => {
  const session = connect(`http://127.0.0.1:${ports.clear}`);
  const pieces = Array.from({ length: 20 }, () => randomBytes(1 << 20));
  const asked = askHttp2(session)({ method: 'POST', path: '/echo' });
  Readable.from(pieces).pipe(asked.upload);
  const { body } = await asked.response;
  expect(sha256(await bytesOf(body))).toBe(sha256(Buffer.concat(pieces)));
});

test('H-33 an app that is faster than its reader waits', async () => {
  const session = connect(`http://127.0.0.1:${await serve(stream)}`);
  const sent = async () => Number((await stream.handleRequest({ url: '/sent' })).text());
  const asked = session.request({ ':path': '/?count=2000&size=16384' });
  await once(asked, 'response');
  let before = -1;
  for (let now = await sent(); now !== before; now = await sent()) {
    before = now;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  expect(before).toBeLessThan(100);
  expect(await bytesOf(asked)).toHaveLength(2000 * 16384);
  expect(await sent()).toBe(2000);
});

describe('a client that resets', () => {
  const control = async (url) => (await opened.handler.handleRequest({ url })).json();
  let session;

  beforeEach(async () => {
    await control('/forget');
    session = connect(`http://127.0.0.1:${ports.clear}`);
  });

  test.each([
    ['without an error', undefined, NGHTTP2_NO_ERROR], ['with one', new Error('leaving'), NGHTTP2_INTERNAL_ERROR],
  ])('one stream in its upload, %s, leaves the others of the session alone', async (_, reason, code) => {
    const ask = askHttp2(session);
    const staying = ask({ method: 'POST', path: '/echo' });
    staying.upload.write('before,');
    const { body } = await staying.response;
    const pieces = body[Symbol.asyncIterator]();
    expect((await pieces.next()).value.toString()).toBe('before,');

    const leaving = session.request({ ':method': 'POST', ':path': '/upload' });
    leaving.on('error', () => {});
    leaving.write(Buffer.alloc(1000));
    await eventually(async () => (await control('/taken')) === 1000);
    // Not close(), which ends the request properly before it resets the stream.
    leaving.destroy(reason);
    expect(leaving.rstCode).toBe(code);
    await eventually(async () => (await control('/records')).length > 0);
    expect(await control('/records')).toEqual([['upload', 'disconnect', 1000]]);

    staying.upload.end('after');
    expect((await pieces.next()).value.toString()).toBe('after');
    expect((await pieces.next()).done).toBe(true);
  });

  test('a stream that handleRequest() has been given is an error there', async () => {
    let outcome;
    const server = http2.createServer((req, res) => {
      outcome = opened.handler.handleRequest(req).then(() => 'answered', () => 'rejected').finally(() => res.end());
    });
    servers.push(server);
    session = connect(`http://127.0.0.1:${await listening(server)}`);
    const leaving = session.request({ ':method': 'POST', ':path': '/upload' });
    leaving.on('error', () => {});
    leaving.write(Buffer.alloc(1000));
    await eventually(async () => (await control('/taken')) === 1000);
    leaving.destroy();
    expect(await outcome).toBe('rejected');
    await eventually(async () => (await control('/records')).length > 0);
    expect(await control('/records')).toEqual([['upload', 'disconnect', 1000]]);
  });

  test('the whole session is a disconnect of each of its streams', async () => {
    for (let n = 0; n < 3; n += 1) session.request({ ':path': '/wait' }).on('error', () => {});
    await eventually(async () => (await control('/records')).length === 3);
    session.destroy();
    await eventually(async () => (await control('/records')).length === 6);
    expect((await control('/records')).slice(3)).toEqual(Array(3).fill(['wait', 'http.disconnect']));
  });
});

test('X-13 an answer that breaks off ends by RST_STREAM, and the session lives on', async () => {
  const session = connect(`http://127.0.0.1:${ports.clear}`);
  const asked = session.request({ ':path': '/break' });
  asked.on('error', () => {});
  asked.resume();
  await new Promise((resolve) => { asked.once('close', resolve); });
  expect(asked.rstCode).toBe(NGHTTP2_INTERNAL_ERROR);
  expect((await exchange(askHttp2(session), { path: '/length' })).text).toBe('12345');
});

test('an answer may come before its upload ends, and the session lives on', async () => {
  const session = connect(`http://127.0.0.1:${ports.clear}`);
  const asked = askHttp2(session)({ method: 'POST', path: '/length' });
  asked.upload.write(Buffer.alloc(1000));
  const { status, body } = await asked.response;
  expect(status).toBe(200);
  expect(String(await bytesOf(body))).toBe('12345');
  asked.hangUp();
  expect((await exchange(askHttp2(session), { path: '/length' })).text).toBe('12345');
});

test('a file that the app sends by its path arrives whole', async () => {
  const session = connect(`http://127.0.0.1:${await serve(files)}`);
  const answer = await exchange(askHttp2(session), { path: '/pathsend?length=1' });
  expect(answer.values('content-length')).toEqual([String(answer.bytes.length)]);
  expect(answer.bytes).toHaveLength(480_000);
  expect(answer.text.slice(0, 12)).toBe('line 000000\n');
  expect(answer.text.slice(-12)).toBe('line 039999\n');
});

test('nothing was reported but what the tests made fail', () => {
  const known = ['no answer', 'half an answer'];
  expect(opened.errors.map((error) => error.pythonMessage).filter((message) => !known.includes(message))).toEqual([]);
});
