'use strict';

const { createHash } = require('node:crypto');
const path = require('node:path');

const { PythonHandler } = require('../..');
const { comparable, expectSameAnswer } = require('./compare');
const { fetchRaw, headerValues, RawConnection, requestBytes } = require('./raw-http');
const { serveExpress, serveHttp } = require('./servers');
const { startUvicorn } = require('./uvicorn');

const DOCROOT = path.resolve(__dirname, '../../fixtures/frameworks');
const MOUNT = '/api';
const STARTUP_MS = 90_000;

const JSON_TYPE = [['Content-Type', 'application/json']];
const FILE = Buffer.alloc(5 * 1024 * 1024, Buffer.from(Array.from({ length: 251 }, (_, index) => index)));
const FILE_SHA256 = createHash('sha256').update(FILE).digest('hex');

function multipart(file, boundary = 'a-boundary') {
  const part = (name, more = '') => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n`;
  return {
    headers: [['Content-Type', `multipart/form-data; boundary=${boundary}`]],
    body: Buffer.concat([
      Buffer.from(`${part('title')}five megabytes\r\n${part('file', '; filename="large.bin"')}`), file,
      Buffer.from(`\r\n--${boundary}--\r\n`),
    ]),
  };
}

const json = (response) => JSON.parse(comparable(response).body);
const text = (response) => comparable(response).body;

/**
 * The table: each request goes to uvicorn and to the servers under test. `status` and `check` say what both have to
 * answer, lest two wrong answers pass for being equal. A status that frameworks choose differently is a name, which
 * the framework's own table of statuses resolves.
 */
const CASES = [
  {
    title: 'a plain answer',
    request: { target: '/' },
    check: (response, { name }) => expect(text(response)).toBe(name),
  },
  {
    title: 'HEAD sends headers and no body',
    request: { method: 'HEAD', target: '/' },
    check: (response) => expect(headerValues(response, 'content-type')).toHaveLength(1),
  },
  {
    title: 'JSON in and out',
    request: {
      method: 'POST', target: '/items', headers: JSON_TYPE,
      body: JSON.stringify({ name: 'Tee für zwei', price: 2.5, tags: ['hot', 'green'] }),
    },
    status: 201,
    check: (response) => expect(JSON.parse(Buffer.from(text(response), 'latin1'))).toEqual(
      { name: 'Tee für zwei', price: 2.5, tags: ['hot', 'green'], cents: 250 },
    ),
  },
  {
    title: 'JSON sent in chunks',
    request: {
      method: 'POST', target: '/items', headers: JSON_TYPE,
      body: ['{"name": "t', 'ea", "pri', 'ce": 0.5}'].map((piece) => Buffer.from(piece)),
    },
    status: 201,
    check: (response) => expect(json(response)).toEqual({ name: 'tea', price: 0.5, tags: [], cents: 50 }),
  },
  {
    title: 'a validation error',
    request: { method: 'POST', target: '/items', headers: JSON_TYPE, body: '{"price": "much"}' },
    status: 'invalid',
  },
  {
    title: 'a body that is not JSON',
    request: { method: 'POST', target: '/items', headers: JSON_TYPE, body: '{"name": ' },
    status: 'invalid',
  },
  {
    title: 'a query with repeated and escaped values',
    request: { target: '/query?a=1&a=2&b=caf%C3%A9+au%20lait&empty=' },
    check: (response) => expect(json(response).pairs).toEqual(expect.arrayContaining([['a', '1'], ['a', '2']])),
  },
  {
    title: 'request headers, repeated and with bytes above 127',
    request: {
      target: '/headers', headers: [['X-One', '1'], ['X-Many', 'a'], ['x-many', 'b'], ['X-Latin', 'caf\xe9']],
    },
    check: (response) => expect(json(response).headers).toContainEqual(['x-one', '1']),
  },
  {
    title: 'two cookies set, in order',
    request: { target: '/cookies', headers: [['Cookie', 'z=26; a=1']] },
    check: (response) => {
      expect(json(response)).toEqual({ seen: { a: '1', z: '26' } });
      const names = headerValues(response, 'set-cookie').map((cookie) => cookie.split(';')[0]);
      expect(names).toEqual(['first=1', 'second=2']);
    },
  },
  {
    title: 'an urlencoded form',
    request: {
      method: 'POST', target: '/form', headers: [['Content-Type', 'application/x-www-form-urlencoded']],
      body: 'name=Ada&name=Grace&note=a+b%26c',
    },
    status: 'posted',
    check: (response) => expect(json(response)).toEqual(
      { fields: [['name', 'Ada'], ['name', 'Grace'], ['note', 'a b&c']] },
    ),
  },
  {
    title: 'a file upload of 5 MB',
    request: { method: 'POST', target: '/upload', ...multipart(FILE) },
    status: 'posted',
    check: (response) => expect(json(response)).toEqual(
      { filename: 'large.bin', title: 'five megabytes', size: FILE.length, sha256: FILE_SHA256 },
    ),
  },
  {
    title: 'a redirect',
    request: { target: '/redirect' },
    status: 'redirect',
    check: (response) => expect(headerValues(response, 'location')[0]).toMatch(/\/query\?from_=redirect$/),
  },
  {
    title: 'a streaming response',
    request: { target: '/stream' },
    check: (response) => {
      const pieces = Array.from({ length: 20 }, (_, index) => `piece ${String(index).padStart(2, '0')}\n`);
      expect(text(response)).toBe(pieces.join(''));
      expect(response.framing).toBe('chunked');
    },
  },
  {
    title: 'a sync endpoint in the thread pool',
    request: { target: '/sync' },
    check: (response) => expect(json(response).main_thread).toBe(false),
  },
  {
    title: 'gzip',
    request: { target: '/packed', headers: [['Accept-Encoding', 'gzip']] },
    check: (response) => {
      expect(headerValues(response, 'content-encoding')).toEqual(['gzip']);
      expect(response.body.length).toBeLessThan(1000);
      expect(text(response)).toBe('compressible '.repeat(1000));
    },
  },
  {
    title: 'no gzip for a client that does not ask for it',
    request: { target: '/packed' },
    check: (response) => expect(response.body.toString()).toBe('compressible '.repeat(1000)),
  },
  {
    title: 'an escaped path',
    request: { target: '/parts/caf%C3%A9/a%2Fb%20c+d' },
    check: (response) => expect(json(response).rest).toMatch(/a\/b c\+d$/),
  },
  {
    title: 'the address of the app',
    request: { target: '/address?q=1' },
    check: (response, { mount }) => expect(json(response)).toMatchObject({
      root_path: mount, url: `http://example.test${mount}/address?q=1`, url_for: `http://example.test${mount}/address`,
    }),
  },
  {
    title: 'the address of an app mounted in the app',
    request: { target: '/sub/info' },
    check: (response, { mount, subRootPath }) => expect(json(response)).toMatchObject({
      root_path: mount + subRootPath, url: `http://example.test${mount}/sub/info`,
    }),
  },
  { title: '404', request: { target: '/missing' }, status: 404 },
  { title: '405', request: { method: 'DELETE', target: '/items' }, status: 405 },
  { title: 'an exception becomes a 500', request: { target: '/boom' }, status: 500 },
];

/**
 * Runs the table for one framework, behind node:http, an Express app, and an Express mount.
 *
 * @param {string} name of the fixture, without `_app`
 * @param {{ statuses?: Record<string, number>, subRootPath?: string, middlewareCovers?: (target: string) => boolean }}
 *   framework what it does in its own way; `middlewareCovers` tells which answers carry the middleware's header
 */
function describeFramework(name, { statuses = {}, subRootPath = '/sub', middlewareCovers = () => true } = {}) {
  const expectedStatus = (status = 200) => (typeof status === 'number'
    ? status
    : { invalid: 400, posted: 200, redirect: 303, ...statuses }[status]);

  const closing = [];
  const opened = async (promise) => {
    const thing = await promise;
    closing.push(() => thing.close());
    return thing;
  };
  let handler;
  const ports = {};
  /** What reached handler.on('error'): frameworks that answer 500 by themselves may raise again afterwards. */
  const reported = [];

  beforeAll(async () => {
    handler = new PythonHandler({ docroot: DOCROOT, target: `${name}_app:app` });
    closing.push(() => handler.close());
    handler.on('error', (error) => reported.push(error));
    const target = `${name}_app:app`;
    // All have settled before any failure is told, so that whatever did start is closed.
    const started = await Promise.allSettled([
      opened(startUvicorn({ docroot: DOCROOT, target })),
      opened(startUvicorn({ docroot: DOCROOT, target, rootPath: MOUNT })),
      handler.ready(),
    ]);
    for (const { reason } of started) if (reason) throw reason;
    ports.reference = started[0].value.port;
    ports.mountedReference = started[1].value.port;
    ports.http = (await opened(serveHttp(handler))).port;
    ports.express = (await opened(serveExpress(handler))).port;
    ports.mounted = (await opened(serveExpress(handler, { mount: MOUNT }))).port;
  }, STARTUP_MS);

  afterAll(async () => {
    // Servers before the handler, which was opened first.
    for (const close of closing.reverse()) await close();
  }, STARTUP_MS);

  const settings = [
    { where: 'node:http', port: () => ports.http, reference: () => ports.reference, mount: '' },
    { where: 'Express', port: () => ports.express, reference: () => ports.reference, mount: '' },
    { where: `Express at ${MOUNT}`, port: () => ports.mounted, reference: () => ports.mountedReference, mount: MOUNT },
  ];

  describe.each(settings)(`${name} behind $where answers as under uvicorn`, ({ port, reference, mount }) => {
    /** uvicorn puts the root path in front of the target; a mount expects to find it there. */
    const bothAnswers = (request) => Promise.all([
      fetchRaw(port(), { ...request, target: mount + request.target }),
      fetchRaw(reference(), request),
    ]);

    test.each(CASES)('$title', async ({ request, status, check }) => {
      const [ours, theirs] = await bothAnswers(request);
      expect(theirs.status).toBe(expectedStatus(status));
      check?.(theirs, { name, mount, subRootPath });
      expectSameAnswer(ours, theirs);
      check?.(ours, { name, mount, subRootPath });
      expect(headerValues(ours, 'x-middleware')).toEqual(middlewareCovers(request.target) ? ['passed'] : []);
    });

    test('a background task runs after the response', async () => {
      const key = `${mount}-${port()}`;
      const [ours, theirs] = await bothAnswers({ method: 'POST', target: `/background?key=${key}`, body: '' });
      expect(theirs.status).toBe(202);
      expectSameAnswer(ours, theirs);
      const finished = async (at, prefix) => {
        for (let attempt = 0; attempt < 100; attempt += 1) {
          const answer = await fetchRaw(at, { target: `${prefix}/background?key=${key}` });
          if (json(answer).finished) return answer;
          await new Promise((resolve) => { setTimeout(resolve, 20); });
        }
        throw new Error(`the background task of port ${at} never finished`);
      };
      expectSameAnswer(await finished(port(), mount), await finished(reference(), ''));
      const unknown = await fetchRaw(port(), { target: `${mount}/background?key=never-started` });
      expect(json(unknown)).toEqual({ finished: false });
    });

    // uvicorn closes the connection when an app raises after its response; ours goes on, as the response is whole.
    test('one connection carries several requests, errors among them', async () => {
      const connection = await RawConnection.open(port());
      try {
        const requests = [['GET', '/boom'], ['GET', '/stream'], ['HEAD', '/'], ['GET', '/missing'], ['GET', '/']];
        for (const [method, target] of requests) {
          await connection.write(requestBytes({ method, target: mount + target }));
          const ours = await connection.readResponse({ method });
          expectSameAnswer(ours, await fetchRaw(reference(), { method, target }));
        }
        expect(connection.ended).toBe(false);
      } finally {
        connection.destroy();
      }
    });
  });

  test('only the exception of /boom was reported', () => {
    const messages = reported.map((error) => error.message);
    expect(messages.filter((message) => !message.includes('boom'))).toEqual([]);
  });
}

module.exports = { describeFramework };
