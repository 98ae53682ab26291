'use strict';

/** What every Node server owes a Python app, asked over a real socket: test/js/hosts.*.test.js, one file per host. */

const { execFileSync } = require('node:child_process');
const { createHash, randomBytes } = require('node:crypto');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const os = require('node:os');
const path = require('node:path');

const { PythonHandler } = require('../..');
const { eventually } = require('./core-apps');

const HOSTS = path.resolve(__dirname, '../../fixtures/hosts');

const sha256 = (data) => createHash('sha256').update(data).digest('hex');

/** The app of fixtures/hosts, with what it reports. @param {Record<string, unknown>} [options] of PythonHandler */
function openApp(options) {
  const handler = new PythonHandler({ docroot: HOSTS, target: 'hosted:app', ...options });
  const errors = [];
  const warnings = [];
  handler.on('error', (error) => errors.push(error));
  handler.on('warning', (warning) => warnings.push(warning));
  return { handler, errors, warnings };
}

/**
 * How a suite looks at an app of this process without going through its host, so that what is observed does not depend
 * on what is tested.
 * @param {{handler: PythonHandler, errors: Error[]}} opened
 */
function inside({ handler, errors }) {
  return {
    control: async (url) => (await handler.handleRequest({ url })).json(),
    reported: async () => errors.map((error) => error.pythonMessage ?? error.code),
  };
}

/** Listens on a free port of the loopback. @param {import('node:net').Server} server @returns {Promise<number>} */
async function listening(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

/** @param {any} server of node:http, node:https or node:http2 */
function closeServer(server) {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections?.();
  });
}

/** A key and a certificate for localhost, signed by itself. @returns {{key: Buffer, cert: Buffer}} */
function selfSigned() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'node-asgi-'));
  try {
    execFileSync('openssl', [
      'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key.pem',
      '-out', 'cert.pem', '-subj', '/CN=localhost', '-days', '2',
    ], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
    return { key: fs.readFileSync(path.join(folder, 'key.pem')), cert: fs.readFileSync(path.join(folder, 'cert.pem')) };
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

/**
 * A request under way.
 *
 * @typedef {object} Asked
 * @property {import('node:stream').Writable} upload
 * @property {Promise<{status: number, headers: [string, string][], body: import('node:stream').Readable}>} response
 * @property {() => void} hangUp
 */

/** @typedef {(request: {method?: string, path: string, headers?: Record<string, string>}) => Asked} Ask */

/** @param {string[]} flat @returns {[string, string][]} names in lower case */
function pairsOf(flat) {
  const pairs = [];
  for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i].toLowerCase(), flat[i + 1]]);
  return pairs;
}

/** A client of HTTP/1.1 whose every request has a connection of its own. @param {string} origin @returns {Ask} */
function askHttp1(origin) {
  return ({ method = 'GET', path: target, headers }) => {
    const { request } = origin.startsWith('https:') ? https : http;
    const upload = request(origin + target, { method, headers, agent: false, rejectUnauthorized: false });
    upload.on('error', () => {});
    const response = once(upload, 'response').then(([message]) => {
      message.on('error', () => {});
      return { status: message.statusCode, headers: pairsOf(message.rawHeaders), body: message };
    });
    return { upload, response, hangUp: () => upload.destroy() };
  };
}

/**
 * A client of HTTP/2 that sends everything through one session.
 * @param {import('node:http2').ClientHttp2Session} session @returns {Ask}
 */
function askHttp2(session) {
  return ({ method = 'GET', path: target, headers }) => {
    const upload = session.request({ ':method': method, ':path': target, ...headers }, { endStream: false });
    upload.on('error', () => {});
    const response = new Promise((resolve, reject) => {
      upload.once('error', reject);
      upload.once('close', () => reject(new Error('the stream ended without a response')));
      upload.once('response', (fields) => {
        const list = [];
        for (const [name, value] of Object.entries(fields)) {
          for (const one of [value].flat()) if (name[0] !== ':') list.push([name, String(one)]);
        }
        resolve({ status: fields[':status'], headers: list, body: upload });
      });
    });
    // Not close(), which ends the request properly before it resets the stream.
    return { upload, response, hangUp: () => upload.destroy(new Error('the client leaves')) };
  };
}

/** @param {AsyncIterable<Buffer>} body */
async function bytesOf(body) {
  const pieces = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Asks with a whole body, and reads the whole answer. @param {Ask} ask */
async function exchange(ask, request) {
  const { body, ...rest } = request;
  const asked = ask(rest);
  asked.response.catch(() => {});
  if (body === undefined) asked.upload.end();
  else asked.upload.end(body);
  const { status, headers, body: answer } = await asked.response;
  const bytes = await bytesOf(answer);
  return {
    status, headers, bytes, text: bytes.toString(), json: () => JSON.parse(bytes.toString()),
    values: (name) => headers.filter(([key]) => key === name).map(([, value]) => value),
  };
}

/**
 * @typedef {object} Host
 * @property {Ask} ask a client of the host
 * @property {string} prefix where the app is mounted
 * @property {(target: string) => Promise<any>} control asks the app beside its host for JSON
 * @property {() => Promise<string[]>} reported messages of the errors that its handler has reported
 */

/**
 * The list that every host must pass.
 *
 * @param {() => Host} host asked for once the tests run
 * @param {{scheme?: string, httpVersion?: string, client?: unknown, reports?: boolean}} [expected] `client`: what the
 *   app sees of it; `reports`: whether the handler reports an exception, or leaves it to whoever called it
 */
function hostSuite(host, {
  scheme = 'http', httpVersion = '1.1', client = ['127.0.0.1', expect.any(Number)], reports = true,
} = {}) {
  /** Asks below the mount. */
  const get = (target, more = {}) => exchange(host().ask, { path: host().prefix + target, ...more });
  const open = (target, more = {}) => host().ask({ path: host().prefix + target, ...more });
  const control = (target) => host().control(target);

  beforeEach(async () => {
    await control('/forget');
  });

  test('JSON in and out, with a query and a body whose length is known', async () => {
    const value = { words: ['one', 'zwölf'], nested: { number: 1.5, nothing: null } };
    const body = Buffer.from(JSON.stringify(value));
    const { prefix } = host();
    const answer = await get('/json?a=1&b=%20x&a=2', {
      method: 'POST', body, headers: { 'content-type': 'application/json', 'content-length': String(body.length) },
    });
    expect(answer.status).toBe(200);
    expect(answer.values('content-type')).toEqual(['application/json']);
    const { got, scope } = answer.json();
    expect(got).toEqual(value);
    expect(scope).toMatchObject({
      method: 'POST', scheme, http_version: httpVersion, root_path: prefix, path: `${prefix}/json`,
      raw_path: `${prefix}/json`, query_string: 'a=1&b=%20x&a=2', client,
    });
    expect(scope.headers).toContainEqual(['content-length', String(body.length)]);
    expect(scope.headers.filter(([name]) => name === 'host')).toHaveLength(1);
  });

  test('a path is decoded once, and raw_path is as the client has sent it', async () => {
    const { prefix } = host();
    const answer = await get('/caf%C3%A9%2Fa%20b%252F//c?q=%20');
    expect(answer.status).toBe(404);
    expect(answer.text).toBe(`${prefix}/café/a b%2F//c ${prefix}/caf%C3%A9%2Fa%20b%252F//c`);
  });

  test('two set-cookie fields stay two', async () => {
    const answer = await get('/cookies');
    expect(answer.values('set-cookie')).toEqual(['first=1; Path=/', 'second=2; HttpOnly']);
    expect(answer.values('x-between')).toEqual(['kept']);
    expect(answer.text).toBe('cookies');
  });

  test('HEAD has the length and no body', async () => {
    const answer = await get('/length', { method: 'HEAD' });
    expect(answer.status).toBe(200);
    expect(answer.values('content-length')).toEqual(['5']);
    expect(answer.bytes).toHaveLength(0);
    expect((await get('/length')).text).toBe('12345');
  });

  test('the first piece of an answer arrives before the app makes the last', async () => {
    const asked = open('/stream');
    asked.upload.end();
    const { status, body } = await asked.response;
    expect(status).toBe(200);
    const pieces = [];
    for await (const piece of body) {
      pieces.push(piece.toString());
      if (pieces.length === 1) expect(await control('/open')).toBe(1);
    }
    expect(pieces.join('')).toBe('data: first\n\ndata: last\n\n');
    expect(pieces[0]).toBe('data: first\n\n');
  });

  test('an upload of 1 MB arrives as it is sent', async () => {
    const data = randomBytes(1 << 20);
    const asked = open('/upload', { method: 'POST', headers: { 'content-type': 'application/octet-stream' } });
    asked.upload.write(data.subarray(0, 50_000));
    // The rest is sent once the app has the beginning: a host that buffers the whole never gets there.
    await eventually(async () => (await control('/taken')) === 50_000);
    asked.upload.end(data.subarray(50_000));
    const { status, body } = await asked.response;
    expect(status).toBe(200);
    expect(JSON.parse(String(await bytesOf(body)))).toEqual({ size: data.length, sha256: sha256(data) });
  });

  test('an answer is streamed while its request still is', async () => {
    const asked = open('/echo', { method: 'POST', headers: { 'content-type': 'application/octet-stream' } });
    asked.upload.write('one,');
    const { body } = await asked.response;
    const iterator = body[Symbol.asyncIterator]();
    expect((await iterator.next()).value.toString()).toBe('one,');
    asked.upload.write('two,');
    expect((await iterator.next()).value.toString()).toBe('two,');
    asked.upload.end('three');
    let rest = '';
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) rest += next.value;
    expect(rest).toBe('three');
  });

  test('an exception is a 500 that does not tell of itself, and the next request is served', async () => {
    const before = (await host().reported()).length;
    const answer = await get('/raise');
    expect(answer.status).toBe(500);
    expect(answer.text).not.toMatch(/RuntimeError|no answer|Traceback/);
    expect((await host().reported()).slice(before)).toEqual(reports ? ['no answer'] : []);
    expect((await get('/length')).text).toBe('12345');
  });

  test('an exception in the middle of an answer never looks like its end', async () => {
    const asked = open('/break');
    asked.upload.end();
    const outcome = await asked.response
      .then(({ body }) => bytesOf(body))
      .then((bytes) => `a whole answer of ${bytes.length} bytes`, () => 'broken off');
    expect(outcome).toBe('broken off');
    expect((await get('/length')).text).toBe('12345');
  });

  test('a client that hangs up while the app works is a disconnect', async () => {
    const asked = open('/wait');
    asked.response.catch(() => {});
    asked.upload.end();
    await eventually(async () => (await control('/records')).length === 1);
    asked.hangUp();
    await eventually(async () => (await control('/records')).length === 2);
    expect(await control('/records')).toEqual([['wait', 'waiting'], ['wait', 'http.disconnect']]);
  });

  test('a client that hangs up in its upload is a disconnect, never the end of the body', async () => {
    const asked = open('/upload', { method: 'POST', headers: { 'content-type': 'application/octet-stream' } });
    asked.response.catch(() => {});
    asked.upload.write(Buffer.alloc(10_000));
    await eventually(async () => (await control('/taken')) === 10_000);
    asked.hangUp();
    await eventually(async () => (await control('/records')).length === 1);
    expect(await control('/records')).toEqual([['upload', 'disconnect', 10_000]]);
  });

  test('a client that hangs up in the answer makes send() raise', async () => {
    const asked = open('/flood');
    asked.upload.end();
    const { body } = await asked.response;
    await body[Symbol.asyncIterator]().next();
    asked.hangUp();
    await eventually(async () => (await control('/records')).length === 1);
    expect(await control('/records')).toEqual([['flood', 'stopped']]);
  });

  test('many at once each get their own answer', async () => {
    const headers = { 'content-type': 'application/json' };
    const answers = await Promise.all(Array.from({ length: 30 }, (_, number) =>
      get(`/json?${number}`, { method: 'POST', body: JSON.stringify({ number }), headers })));
    const told = answers.map((answer) => answer.json());
    expect(told.map(({ got }) => got.number)).toEqual(told.map((_, number) => number));
    expect(told.map(({ scope }) => scope.query_string)).toEqual(told.map((_, number) => String(number)));
  });

  return { get, open, control };
}

module.exports = {
  HOSTS, askHttp1, askHttp2, bytesOf, closeServer, exchange, hostSuite, inside, listening, openApp, selfSigned, sha256,
};
