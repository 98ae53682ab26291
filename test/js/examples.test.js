'use strict';

const net = require('node:net');
const path = require('node:path');

const { Child } = require('../helpers/child');
const { fetchRaw, headerValues, RawConnection, requestBytes } = require('../helpers/raw-http');

const EXAMPLES = path.resolve(__dirname, '../../examples');

const running = [];

/** Starts an example and waits for its address. */
async function start(name, port = 0) {
  const child = new Child([path.join(EXAMPLES, name, 'server.js')], {
    cwd: path.join(EXAMPLES, name), env: { ...process.env, PORT: String(port) },
  });
  running.push(child);
  const [, actual] = await child.printed(/^http:\/\/localhost:(\d+)\/$/m);
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
