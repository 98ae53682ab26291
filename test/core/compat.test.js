'use strict';

/** node-asgi/compat: what programs for `@platformatic/python-node` rely on. */

const { Headers, Python, Request, Response } = require('../../lib/compat');
const { CORE } = require('../helpers/core-apps');

const opened = [];
function app(name) {
  const python = new Python({ docroot: CORE, appTarget: `${name}:app` });
  opened.push(python);
  return python;
}

afterAll(() => Promise.all(opened.map((python) => python.close())));

describe('Python', () => {
  test('handleRequest() with a body, and root_path is the docroot, of which the path knows nothing', async () => {
    const python = app('echo');
    expect(python.docroot).toBe(CORE);
    const response = await python.handleRequest(new Request({ method: 'POST', url: 'http://example.com/a?b=1', body: Buffer.from('hello') }));
    expect(response).toBeInstanceOf(Response);
    expect([response.status, response.body.toString()]).toEqual([200, 'hello']);
    const { scope } = (await app('scope_dump').handleRequest(new Request({ url: 'http://example.com/a?b=1' }))).json();
    expect(scope).toMatchObject({ path: '/a', root_path: CORE, query_string: 'b=1' });
    const { scope: other } = (await app('scope_dump').handleRequest(new Request({ url: '/a', docroot: '/elsewhere' }))).json();
    expect(other).toMatchObject({ path: '/a', root_path: '/elsewhere' });
  });

  test('handleRequest() rejects with the message of the exception', async () => {
    await expect(app('error_before_start').handleRequest(new Request({ url: '/' }))).rejects.toThrow(/coffee/);
  });

  test('handleStream() ends at the start; next() and the iteration give Buffers', async () => {
    const python = app('stream');
    const response = await python.handleStream(new Request({ url: '/?count=3&size=5' }));
    expect(response.status).toBe(200);
    let size = 0;
    for await (const chunk of response) {
      expect(Buffer.isBuffer(chunk)).toBe(true);
      size += chunk.length;
    }
    expect(size).toBe(15);
    const again = await python.handleStream(new Request({ url: '/?count=1&size=5' }));
    let text = '';
    for (let chunk = await again.next(); chunk !== null; chunk = await again.next()) text += chunk;
    expect(text).toHaveLength(5);
  });

  test('an exception in the middle rejects the iteration', async () => {
    const response = await app('error_after_start').handleStream(new Request({ url: '/' }));
    await expect((async () => { for await (const chunk of response) expect(chunk).toBeDefined(); })()).rejects.toThrow();
  });

  test('a request is written to before and after it was handed over', async () => {
    const python = app('echo');
    const request = new Request({ method: 'POST', url: '/' });
    await request.write('before,');
    const response = await python.handleStream(request);
    expect((await response.next()).toString()).toBe('before,');
    await request.write(Buffer.from('after,'));
    expect((await response.next()).toString()).toBe('after,');
    await request.end('last');
    let rest = '';
    for await (const chunk of response) rest += chunk;
    expect(rest).toBe('last');
  });

  test('a WebSocket: writes are messages, their kind kept; the end closes', async () => {
    const python = app('compat_websocket');
    const request = new Request({ url: '/echo', websocket: true });
    await request.write('early');
    const response = await python.handleStream(request);
    expect([response.status, response.headers.get('x-accepted')]).toEqual([101, '1']);
    expect((await response.next()).toString()).toBe('early');
    await request.write(Buffer.from([0, 255]));
    expect(await response.next()).toEqual(Buffer.from([0, 255]));
    await request.write('one');
    await request.write('two');
    await request.end();
    const rest = [];
    for await (const message of response) rest.push(message.toString());
    expect(rest.every((text) => ['one', 'two'].includes(text))).toBe(true);
    expect(await response.next()).toBeNull();
  });

  test('a WebSocket that the app refuses rejects', async () => {
    await expect(app('compat_websocket').handleStream(new Request({ url: '/rejects', websocket: true }))).rejects.toMatchObject({ code: 'ERR_ASGI_WEBSOCKET_REFUSED' });
  });
});

test('Request: members, their setters and toJSON()', () => {
  const request = new Request({ method: 'POST', url: 'http://example.com/a/b?c=1', headers: { 'X-One': ['1', '2'] }, body: 'text' });
  expect([request.method, request.url, request.path, String(request.body), request.docroot]).toEqual(
    ['POST', 'http://example.com/a/b?c=1', '/a/b', 'text', undefined]);
  expect(request.headers.getAll('x-one')).toEqual(['1', '2']);
  request.method = 'PUT';
  request.url = '/other?d=2';
  request.headers = { 'x-two': '3' };
  request.body = Buffer.from('bytes');
  request.docroot = '/root';
  expect([request.method, request.path, request.headers.get('x-two'), request.docroot]).toEqual(['PUT', '/other', '3', '/root']);
  expect(request.toJSON()).toEqual({ method: 'PUT', url: '/other?d=2', headers: { 'x-two': '3' }, body: 'bytes' });
  expect(() => new Request()).toThrow(/expected an object with a url/);
});

test('Headers', () => {
  const headers = new Headers({ 'Content-Type': 'text/plain', Accept: ['a', 'b'] });
  expect(headers.size).toBe(2);
  expect([headers.get('accept'), headers.getLine('ACCEPT'), headers.getAll('Accept')]).toEqual(['b', 'a,b', ['a', 'b']].map((v) => (v === 'a,b' ? expect.stringMatching(/^a, ?b$/) : v)));
  expect([headers.has('content-type'), headers.has('nothing')]).toEqual([true, false]);
  headers.set('accept', 'c');
  headers.add('accept', 'd');
  expect(headers.getAll('accept')).toEqual(['c', 'd']);
  expect(headers.delete('accept')).toBe(true);
  expect([...headers.entries()]).toEqual([['content-type', 'text/plain']]);
  expect([[...headers.keys()], [...headers.values()]]).toEqual([['content-type'], ['text/plain']]);
  const seen = [];
  headers.forEach((value, name, all) => seen.push([value, name, all === headers]));
  expect(seen).toEqual([['text/plain', 'content-type', true]]);
  expect(headers.toJSON()).toEqual({ 'content-type': 'text/plain' });
  headers.clear();
  expect(headers.size).toBe(0);
});

test('Response: read and written', () => {
  const response = new Response({ status: 201, headers: { a: '1' }, body: 'text', log: 'line', exception: 'what' });
  expect([response.status, response.headers.get('a'), response.body.toString(), response.log, response.exception]).toEqual([201, '1', 'text', 'line', 'what']);
  response.status = 404;
  response.headers = { b: '2' };
  response.body = Buffer.from('other');
  expect(response.toJSON()).toEqual({ status: 404, headers: { b: '2' }, body: 'other' });
});
