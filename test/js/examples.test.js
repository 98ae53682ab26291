'use strict';

const fs = require('node:fs');
const http2 = require('node:http2');
const net = require('node:net');
const path = require('node:path');

const { Child } = require('../helpers/child');
const { askHttp1, askHttp2, exchange } = require('../helpers/host-suite');
const { fetchRaw, headerValues, RawConnection, requestBytes } = require('../helpers/raw-http');

const EXAMPLES = path.resolve(__dirname, '../../examples');

const running = [];

/** Starts an example and waits for its address. */
async function start(name, port = 0) {
  const child = new Child([path.join(EXAMPLES, name, 'server.js')], {
    cwd: path.join(EXAMPLES, name), env: { ...process.env, PORT: String(port) },
  });
  running.push(child);
  const [, actual] = await child.printed(/^https?:\/\/localhost:(\d+)\/$/m);
  return { child, port: Number(actual) };
}

afterEach(async () => {
  for (const child of running.splice(0)) {
    child.kill('SIGKILL');
    await child.ended();
  }
});

const CASES = [
  {
    name: 'express',
    request: { target: '/hello/you' },
    check: (response) => expect(JSON.parse(response.body)).toMatchObject({ hello: 'you', python: expect.any(String) }),
  },
  {
    name: 'express',
    request: { target: '/node' },
    check: (response) => expect(JSON.parse(response.body)).toEqual({ answeredBy: 'Express', node: process.version }),
  },
  {
    name: 'express',
    request: { target: '/' },
    check: (response) => expect(response.body.toString()).toMatch(/Python 3\.\d+.*, served by Express/),
  },
  {
    name: 'fastify',
    request: {
      method: 'POST', target: '/words', headers: [['Content-Type', 'application/json']],
      body: '{"text": "to be or not to"}',
    },
    check: (response) => {
      expect(headerValues(response, 'content-type')[0]).toMatch(/^application\/json/);
      expect(JSON.parse(response.body)).toEqual([['to', 2], ['be', 1], ['or', 1], ['not', 1]]);
    },
  },
  {
    name: 'http',
    request: { target: '/some/path?q=1', headers: [['X-Sent', 'by the test']] },
    check: (response) => expect(response.body.toString()).toBe(
      'GET /some/path HTTP/1.1\nhost: example.test\nx-sent: by the test\n',
    ),
  },
  {
    name: 'streaming',
    request: { target: '/' },
    check: (response) => {
      expect(response.body.toString()).toMatch(/^NUMBER 1\nNUMBER 2\n(NUMBER \d+\n){8}THAT IS ALL\n$/);
      expect(response.chunks.length).toBeGreaterThan(5);
    },
  },
  ...['koa', 'hono', 'nest'].map((name) => ({
    name,
    request: { target: '/api/hello/you%20there?q' },
    check: (response) => expect(JSON.parse(response.body)).toEqual({
      hello: 'you there', python: expect.stringMatching(/^3\.\d+/),
    }),
  })),
  {
    name: 'koa',
    request: { target: '/' },
    check: (response) => expect(JSON.parse(response.body)).toEqual({ answeredBy: 'Koa', node: process.version }),
  },
  {
    name: 'hono',
    request: { target: '/node' },
    check: (response) => expect(JSON.parse(response.body)).toEqual({ answeredBy: 'Hono', node: process.version }),
  },
];

test.each(CASES)('examples/$name answers $request.target and ends on SIGTERM', async ({ name, request, check }) => {
  const { child, port } = await start(name);
  const response = await fetchRaw(port, request);
  expect(response.status).toBe(200);
  check(response);
  child.kill('SIGTERM');
  expect(await child.ended()).toEqual({ code: 0, signal: null });
  expect(child.stderr).toBe('');
});

/** A client of HTTP/2 with a session that stays open. @param {number} port */
function http2Client(port) {
  const session = http2.connect(`https://localhost:${port}`, { rejectUnauthorized: false });
  session.on('error', () => {});
  return askHttp2(session);
}

test.each([
  ['https', 'HTTP/1.1', (port) => askHttp1(`https://localhost:${port}`), { scheme: 'https', http: '1.1', tls: 0x0304 }],
  ['http2', 'HTTP/2', http2Client, { scheme: 'https', http: '2', tls: 0x0304 }],
  ['http2', 'HTTP/1.1', (port) => askHttp1(`https://localhost:${port}`), { scheme: 'https', http: '1.1', tls: 0x0304 }],
])('examples/%s answers over %s and ends on SIGTERM', async (name, _, client, expected) => {
  const { child, port } = await start(name);
  const answer = await exchange(client(port), { path: '/' });
  expect(answer.json()).toEqual(expected);
  child.kill('SIGTERM');
  expect(await child.ended()).toEqual({ code: 0, signal: null });
  expect(child.stderr).toBe('');
});

test('examples/undici answers fetch() and undici.request(), and ends by itself', async () => {
  const child = new Child([path.join(EXAMPLES, 'undici', 'script.js')]);
  running.push(child);
  expect(await child.ended(20_000)).toEqual({ code: 0, signal: null });
  expect(child.stdout).toBe("{ host: 'words.internal', words: 6 }\n{ host: 'words.internal', words: 2 }\n");
  expect(child.stderr).toBe('');
});

test('docs/hosts.md shows nothing but what the examples do', () => {
  const text = fs.readFileSync(path.resolve(__dirname, '../../docs/hosts.md'), 'utf8');
  const shown = [...text.matchAll(/<!-- example: (\S+) -->\n```js\n([^]*?)```/g)];
  expect(shown.map(([, file]) => file.split('/')[0]).sort()).toEqual(
    ['express', 'fastify', 'hono', 'http2', 'https', 'koa', 'nest', 'undici'],
  );
  for (const [, file, code] of shown) {
    const lines = fs.readFileSync(path.join(EXAMPLES, file), 'utf8').split('\n');
    let from = 0;
    for (const line of code.trimEnd().split('\n')) {
      const at = lines.indexOf(line, from);
      expect({ file, line, isThere: at >= 0 }).toEqual({ file, line, isThere: true });
      from = at + 1;
    }
  }
});

test('SIGINT ends an example too, though a client keeps its connection open', async () => {
  const { child, port } = await start('express');
  const connection = await RawConnection.open(port);
  await connection.write(requestBytes({ target: '/hello/you' }));
  expect((await connection.readResponse()).status).toBe(200);
  child.kill('SIGINT');
  expect(await child.ended()).toEqual({ code: 0, signal: null });
  connection.destroy();
});

test('a request under way is finished before the end', async () => {
  const { child, port } = await start('streaming');
  const connection = await RawConnection.open(port);
  await connection.write(requestBytes({ target: '/' }));
  const response = await connection.readResponse({ onHead: () => child.kill('SIGTERM') });
  expect(response.body.toString()).toMatch(/THAT IS ALL\n$/);
  expect(await child.ended()).toEqual({ code: 0, signal: null });
  connection.destroy();
});

test('a port that is taken is left for a free one', async () => {
  const taken = net.createServer();
  await new Promise((resolve) => { taken.listen(0, resolve); });
  try {
    const { child, port } = await start('http', taken.address().port);
    expect(port).not.toBe(taken.address().port);
    expect((await fetchRaw(port, { target: '/' })).status).toBe(200);
    child.kill('SIGTERM');
    expect(await child.ended()).toEqual({ code: 0, signal: null });
  } finally {
    taken.close();
  }
});
