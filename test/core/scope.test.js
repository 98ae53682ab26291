'use strict';

const http = require('node:http');
const http2 = require('node:http2');
const os = require('node:os');
const path = require('node:path');

const { coreApps, jsonOf } = require('../helpers/core-apps');
const { fetchRaw, RawConnection, requestBytes } = require('../helpers/raw-http');
const { listen, serveExpress } = require('../helpers/servers');

const { open, serve, closeLater } = coreApps();

/** scope_dump behind node:http, and in this process. */
let served;
let types;

/** The scope of a request over a socket. */
const dumped = async (request) => {
  const response = await served.fetch(request);
  expect(response.status).toBe(200);
  return jsonOf(response).scope;
};

/** The scope of a request without a socket. */
const asked = async (request, handler = served.handler) => (await handler.handleRequest(request)).json().scope;

beforeAll(async () => {
  served = await serve('scope_dump');
  types = await serve('scope_types');
});

describe('types', () => {
  test('S-01 the scope is a real dict that can be changed, with str keys and dicts inside', async () => {
    const { shape, exact, mutable } = await types.fetchJson('/a?b');
    expect([exact, mutable]).toEqual([true, true]);
    const fields = shape.dict;
    for (const [keyType] of Object.values(fields)) expect(keyType).toBe('str');
    expect(fields.asgi[1]).toEqual({ dict: { version: ['str', 'str'], spec_version: ['str', 'str'] } });
    for (const [, shapeOf] of Object.values(fields.extensions[1].dict)) expect(shapeOf).toEqual({ dict: {} });
  });

  test('S-02 S-03 S-04 type, version and spec_version', async () => {
    const { type, asgi } = await dumped('/');
    expect(type).toBe('http');
    expect(asgi).toEqual({ version: '3.0', spec_version: '2.5' });
    const older = open('scope_dump', { specVersion: '2.3' });
    expect((await asked({ url: '/' }, older.handler)).asgi).toEqual({ version: '3.0', spec_version: '2.3' });
  });

  test('S-12 S-13 S-16 raw_path, query_string and header fields are bytes; headers are a list of tuples', async () => {
    const { shape, iterates_twice: counts } = await types.fetchJson({ target: '/a?b', headers: [['x-one', '1']] });
    const fields = shape.dict;
    expect(fields.raw_path).toEqual(['str', 'bytes']);
    expect(fields.query_string).toEqual(['str', 'bytes']);
    expect(fields.headers[1]).toEqual({ list: [{ tuple: ['bytes', 'bytes'] }, { tuple: ['bytes', 'bytes'] }] });
    expect(counts).toEqual([2, 2]);
    for (const name of ['path', 'root_path', 'method', 'scheme', 'http_version']) {
      expect(fields[name]).toEqual(['str', 'str']);
    }
  });

  test('S-23 S-24 client and server are tuples of str and int', async () => {
    const { shape } = await types.fetchJson('/');
    expect(shape.dict.client[1]).toEqual({ tuple: ['str', 'int'] });
    expect(shape.dict.server[1]).toEqual({ tuple: ['str', 'int'] });
  });

  test('S-05 what one request changes in its scope is invisible in the next', async () => {
    const first = await dumped('/');
    const second = await dumped('/');
    expect(second).not.toHaveProperty('touched');
    expect(second.asgi).toEqual(first.asgi);
    expect(second.extensions).toEqual(first.extensions);
    expect(second.headers).toEqual([['host', 'example.test']]);
  });
});

describe('the request line', () => {
  test.each(['1.0', '1.1'])('S-06 http_version %s', async (version) => {
    expect((await dumped({ version })).http_version).toBe(version);
  });

  test.each(['GET', 'DELETE', 'PROPFIND', 'REPORT', 'MKCOL', 'PURGE'])('S-07 method %s passes', async (method) => {
    expect((await dumped({ method })).method).toBe(method);
  });

  test('S-07 without a socket any token is a method, upper-cased', async () => {
    expect((await asked({ method: 'query', url: '/' })).method).toBe('QUERY');
    expect((await asked({ method: 'x-own!', url: '/' })).method).toBe('X-OWN!');
  });

  test('S-08 the scheme is that of the connection and not what headers claim', async () => {
    const headers = [['X-Forwarded-Proto', 'https'], ['Forwarded', 'proto=https']];
    expect((await dumped({ headers, host: 'example.test:443' })).scheme).toBe('http');
    expect((await asked({ url: '/', socket: { encrypted: true } })).scheme).toBe('https');
    expect((await asked({ url: 'https://example.test/' })).scheme).toBe('https');
    expect((await asked({ url: '/' })).scheme).toBe('http');
  });

  const paths = [
    ['S-09', '/caf%C3%A9%2Fa%20b?x', '/café/a b', 'x'],
    ['S-09', '/%E6%97%A5%E6%9C%AC', '/日本', ''],
    ['S-10', '/%ff-%c3', '/\ufffd-\ufffd', ''],
    ['S-10', '/a+b', '/a+b', ''],
    ['S-10', '/a%00b', '/a\0b', ''],
    ['S-10', '/100%', '/100%', ''],
    ['S-10', '/%zz%4', '/%zz%4', ''],
    ['S-10', '/%25%32%35', '/%25', ''],
    ['S-13', '/p?a?b', '/p', 'a?b'],
    ['S-13', '/p?', '/p', ''],
    ['S-13', '/p', '/p', ''],
    ['S-13', '/p?x=%41+%20', '/p', 'x=%41+%20'],
    ['S-12', '//double//slash/', '//double//slash/', ''],
    ['S-12', '/a/../b', '/a/../b', ''],
  ];
  test.each(paths)('%s the target %s', async (id, target, decoded, query) => {
    const scope = await dumped(target);
    expect(scope).toMatchObject({ path: decoded, query_string: query, raw_path: target.split('?', 1)[0] });
    expect(await asked({ url: target })).toMatchObject({ path: decoded, query_string: query, raw_path: scope.raw_path });
  });

  const targets = [
    ['GET', 'http://example.test/p?q', '/p', '/p', 'q'],
    ['GET', 'http://example.test', '/', '/', ''],
    ['GET', 'http://example.test?q=/x', '/', '/', 'q=/x'],
    ['GET', '/redirect?to=http://other.test/', '/redirect', '/redirect', 'to=http://other.test/'],
    ['GET', '/http://other.test/', '/http://other.test/', '/http://other.test/', ''],
    ['OPTIONS', '*', '*', '*', ''],
  ];
  test.each(targets)('S-11 %s %s', async (method, target, decoded, raw, query) => {
    expect(await dumped({ method, target })).toMatchObject({ path: decoded, raw_path: raw, query_string: query });
  });
});

describe('root_path', () => {
  test('S-14 the default is empty', async () => {
    expect(await dumped('/x')).toMatchObject({ root_path: '', path: '/x' });
  });

  test.each([['express'], ['express4']])('S-14 S-15 a mount of %s is the root_path, and path and raw_path include it', async (name) => {
    const server = closeLater(await serveExpress(served.handler, { mount: '/api', express: require(name) }));
    const { scope } = jsonOf(await fetchRaw(server.port, { target: '/api/it%20em?q=1' }));
    expect(scope).toMatchObject({ root_path: '/api', path: '/api/it em', raw_path: '/api/it%20em', query_string: 'q=1' });
    const top = jsonOf(await fetchRaw(server.port, { target: '/api' })).scope;
    expect(top.root_path).toBe('/api');
    expect(top.path.startsWith('/api')).toBe(true);
  });

  test('S-15 the option rootPath loses its trailing slash and comes first in path and raw_path', async () => {
    const { handler } = open('scope_dump', { rootPath: '/v1/' });
    expect(await asked({ url: '/x' }, handler)).toMatchObject({ root_path: '/v1', path: '/v1/x', raw_path: '/v1/x' });
    // A target that is below it already does not get it twice; one that only looks so does get it.
    expect((await asked({ url: '/v1/x' }, handler)).path).toBe('/v1/x');
    expect((await asked({ url: '/v10/x' }, handler)).path).toBe('/v1/v10/x');
  });

  test('S-15 a root path that is not ASCII is decoded in path and escaped in raw_path', async () => {
    const scope = await asked({ url: '/x', rootPath: '/caf\u00e9' });
    expect(scope).toMatchObject({ root_path: '/café', path: '/café/x', raw_path: '/caf%C3%A9/x' });
  });
});

describe('headers', () => {
  test('S-17 S-18 names are lower-cased; order and repetition are those of the wire', async () => {
    const headers = [['X-Two', 'b'], ['x-one', '1'], ['X-TWO', 'a'], ['Cookie', 'z=1'], ['cookie', 'a=2']];
    expect((await dumped({ headers })).headers).toEqual([
      ['host', 'example.test'], ['x-two', 'b'], ['x-one', '1'], ['x-two', 'a'], ['cookie', 'z=1'], ['cookie', 'a=2'],
    ]);
    const init = headers.map(([name, value]) => [name, value]);
    const inProcess = (await asked({ url: '/', headers: init })).headers;
    expect(inProcess).toEqual(headers.map(([name, value]) => [name.toLowerCase(), value]));
  });

  test('S-19 bytes from 0x80 to 0xff survive', async () => {
    const value = Array.from({ length: 128 }, (_, index) => String.fromCharCode(index + 128)).join('');
    const found = (scope) => scope.headers.find(([name]) => name === 'x-bytes')[1];
    expect(found(await dumped({ headers: [['x-bytes', `a${value}z`]] }))).toBe(`a${value}z`);
    expect(found(await asked({ url: '/', headers: { 'x-bytes': `a${value}z` } }))).toBe(`a${value}z`);
  });

  test('S-19 an empty value and many fields arrive', async () => {
    const headers = [['x-empty', ''], ...Array.from({ length: 150 }, (_, index) => [`x-${index}`, `${index}`])];
    const scope = await dumped({ headers });
    expect(scope.headers).toHaveLength(152);
    expect(scope.headers[1]).toEqual(['x-empty', '']);
    expect(scope.headers[151]).toEqual(['x-149', '149']);
  });

  test('S-22 Transfer-Encoding, Connection and Expect pass unchanged', async () => {
    const connection = await RawConnection.open(served.port);
    const headers = [['Connection', 'close'], ['Expect', '100-continue']];
    await connection.write(requestBytes({ method: 'POST', headers, body: [Buffer.from('abc')] }));
    const { scope } = jsonOf(await connection.readResponse());
    connection.destroy();
    expect(scope.headers).toEqual(expect.arrayContaining([
      ['transfer-encoding', 'chunked'], ['connection', 'close'], ['expect', '100-continue'],
    ]));
  });
});

describe('connections', () => {
  test('S-23 S-24 client and server are the two ends of the socket', async () => {
    const connection = await RawConnection.open(served.port);
    const port = connection.localPort;
    await connection.write(requestBytes({}));
    const { scope } = jsonOf(await connection.readResponse());
    connection.destroy();
    expect(scope.client).toEqual(['127.0.0.1', port]);
    expect(scope.server).toEqual(['127.0.0.1', served.port]);
  });

  test('S-23 an IPv4 client of a dual-stack server is named by its IPv4 address', async () => {
    const server = http.createServer(served.handler.listener());
    await new Promise((resolve) => { server.listen(0, resolve); });
    try {
      const { scope } = jsonOf(await fetchRaw(server.address().port, {}));
      expect(scope.client[0]).toBe('127.0.0.1');
      expect(scope.server).toEqual(['127.0.0.1', server.address().port]);
    } finally {
      await new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); });
    }
  });

  test('S-23 S-24 a unix socket has no client, and its path as the server', async () => {
    const place = path.join(os.tmpdir(), `node-asgi-${process.pid}.sock`);
    const server = http.createServer(served.handler.listener());
    await new Promise((resolve) => { server.listen(place, resolve); });
    try {
      const body = await new Promise((resolve, reject) => {
        http.get({ socketPath: place, path: '/', agent: false }, (response) => {
          response.setEncoding('utf8');
          let text = '';
          response.on('data', (data) => { text += data; }).on('end', () => resolve(text));
        }).on('error', reject);
      });
      const { scope } = JSON.parse(body);
      expect(scope.client).toBeNull();
      expect(scope.server).toEqual([place, null]);
    } finally {
      await new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); });
    }
  });

  test('S-23 S-24 without a socket both are None', async () => {
    expect(await asked({ url: '/' })).toMatchObject({ client: null, server: null });
  });

  test('S-05 two requests on one connection get scopes of their own', async () => {
    const connection = await RawConnection.open(served.port);
    const dumps = [];
    for (const target of ['/one?1', '/two?2']) {
      await connection.write(requestBytes({ target, headers: [['x-target', target]] }));
      dumps.push(jsonOf(await connection.readResponse()).scope);
    }
    connection.destroy();
    expect(dumps.map(({ path: of, query_string: query }) => [of, query])).toEqual([['/one', '1'], ['/two', '2']]);
    expect(dumps[1].headers).toEqual([['host', 'example.test'], ['x-target', '/two?2']]);
  });
});

describe('HTTP/2', () => {
  test('S-06 S-20 S-21 version 2; :authority is the host, first; cookies stay apart', async () => {
    const server = http2.createServer(served.handler.listener());
    const listening = await listen(Object.assign(server, { closeAllConnections() {} }));
    const client = http2.connect(`http://127.0.0.1:${listening.port}`);
    try {
      const { scope } = await new Promise((resolve, reject) => {
        const request = client.request({ ':path': '/h2?q', cookie: ['a=1', 'b=2'], 'x-one': '1' });
        let text = '';
        request.setEncoding('utf8').on('data', (data) => { text += data; });
        request.on('end', () => resolve(JSON.parse(text))).on('error', reject);
        client.on('error', reject);
        request.end();
      });
      expect(scope).toMatchObject({ http_version: '2', path: '/h2', query_string: 'q', method: 'GET' });
      expect(scope.headers[0]).toEqual(['host', `127.0.0.1:${listening.port}`]);
      expect(scope.headers.filter(([name]) => name === 'cookie')).toEqual([['cookie', 'a=1'], ['cookie', 'b=2']]);
      expect(scope.headers.every(([name]) => !name.startsWith(':'))).toBe(true);
    } finally {
      client.close();
      await new Promise((resolve) => { server.close(resolve); });
    }
  });
});

describe('state and extensions', () => {
  test('S-25 the state is absent without a lifespan', async () => {
    expect(await dumped('/')).not.toHaveProperty('state');
  });

  test('S-25 S-26 the state is copied per request; its values are shared', async () => {
    const { handler } = open('lifespan_kinds:counting');
    const first = (await handler.handleRequest({ url: '/' })).json();
    const second = (await handler.handleRequest({ url: '/' })).json();
    expect([first.word, second.word]).toEqual(['from startup', 'from startup']);
    expect([first.requests, second.requests]).toEqual([1, 2]);
    expect(second.state).toEqual(['shared', 'word']);
  });

  test('S-27 two apps of one process have states of their own', async () => {
    const [one, two] = [open('lifespan_kinds:counting'), open('lifespan_kinds:counting')];
    await one.handler.handleRequest({ url: '/' });
    await one.handler.handleRequest({ url: '/' });
    expect((await two.handler.handleRequest({ url: '/' })).json().requests).toBe(1);
  });

  test('S-28 extensions hold what the host adds', async () => {
    const trailers = { 'http.response.trailers': {} };
    const { handler } = open('scope_dump', { scope: { user: 'ada', nested: { list: [1, null, 'ü'] } } });
    expect((await asked({ url: '/' }, handler)).extensions)
      .toEqual({ ...trailers, node: { user: 'ada', nested: { list: [1, null, 'ü'] } } });
    const both = await handler.handleRequest({ url: '/' }, { scope: { user: 'grace', more: true } });
    expect(both.json().scope.extensions)
      .toEqual({ ...trailers, node: { user: 'grace', nested: { list: [1, null, 'ü'] }, more: true } });
  });

  test('S-29 an app that changes its scope does not change what is done with its response', async () => {
    const rules = await serve('rules');
    expect((await rules.fetch('/mutates-scope')).body.toString()).toBe('still here, all of it');
  });
});
