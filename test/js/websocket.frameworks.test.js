'use strict';

/** WebSockets of real frameworks, with the clients `ws` and `websockets`, behind node:http, node:https, Express and Fastify. */

const { execFile, execFileSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const os = require('node:os');
const path = require('node:path');
const { promisify } = require('node:util');

const express = require('express');
const Fastify = require('fastify');
const { WebSocket } = require('ws');

const { PythonHandler } = require('../..');
const plugin = require('../../lib/fastify');
const { venvPython } = require('../../scripts/setup');

const docroot = path.resolve(__dirname, '../../fixtures/websockets');
const closing = [];
const errors = [];
afterEach(() => expect(errors).toEqual([]));
afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

async function open(framework) {
  const handler = new PythonHandler({ docroot, target: `apps:${framework}_app()`, python: venvPython, perMessageDeflate: true });
  closing.push(() => handler.close());
  handler.on('error', (error) => errors.push(error));
  await handler.ready();
  return handler;
}

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }));
  return server.address().port;
}

/** One message there and back. */
async function echo(url, message, options) {
  const client = new WebSocket(url, options);
  await once(client, 'open');
  client.send(message);
  const [data, binary] = await once(client, 'message');
  client.close(1000);
  await once(client, 'close');
  return binary ? data : data.toString();
}

describe.each(['starlette', 'fastapi', 'quart', 'consumer'])('%s', (framework) => {
  let url;
  beforeAll(async () => {
    const handler = await open(framework);
    const server = http.createServer(handler.listener());
    handler.attach(server);
    url = `ws://127.0.0.1:${await listen(server)}`;
  });

  test('W-09 W-12 text and binary, with the ws client', async () => {
    expect(await echo(`${url}/echo`, 'text')).toBe('text');
    expect(await echo(`${url}/echo`, Buffer.from([0, 255]))).toEqual(Buffer.from([0, 255]));
  });

  test('W-10 W-17 W-30 E-01 a whole conversation with the client of the Python package websockets', async () => {
    const { stdout } = await promisify(execFile)(venvPython, [path.join(docroot, 'client.py'), url, ...framework === 'quart' ? ['empty-binary'] : []]);
    expect(JSON.parse(stdout)).toEqual({
      fragmented: 'fragmented', latency: true, subprotocol: 'json', json: { got: { a: 1 } },
      refused: [451, framework === 'fastapi' ? '{"detail":"not today"}' : 'not today'], closed: [4001, 'had enough'],
    });
  });
});

describe('servers', () => {
  let handler;
  beforeAll(async () => { handler = await open('starlette'); });

  test('Express, where other paths stay with other listeners', async () => {
    const app = express();
    app.use('/python', handler.middleware());
    app.get('/', (req, res) => res.send('Express'));
    const server = http.createServer(app);
    handler.attach(server, { path: '/python' });
    const port = await listen(server);
    expect(await echo(`ws://127.0.0.1:${port}/python/echo`, 'below a mount')).toBe('below a mount');
    const elsewhere = new WebSocket(`ws://127.0.0.1:${port}/echo`);
    elsewhere.on('error', () => {});
    const [, response] = await once(elsewhere, 'unexpected-response');
    expect(response.statusCode).toBe(404);
  });

  test('two handlers on one server, each below its own path', async () => {
    const server = http.createServer();
    handler.attach(server, { path: '/one' });
    const other = await open('fastapi');
    other.attach(server, { path: '/two' });
    const port = await listen(server);
    expect(await echo(`ws://127.0.0.1:${port}/one/echo`, 'one')).toBe('one');
    expect(await echo(`ws://127.0.0.1:${port}/two/echo`, 'two')).toBe('two');
    const elsewhere = new WebSocket(`ws://127.0.0.1:${port}/three/echo`);
    elsewhere.on('error', () => {});
    const [, response] = await once(elsewhere, 'unexpected-response');
    expect(response.statusCode).toBe(404);
  });

  test('Fastify, through the plugin', async () => {
    const fastify = Fastify();
    fastify.register(plugin, { prefix: '/python', handler });
    await fastify.listen({ port: 0, host: '127.0.0.1' });
    closing.push(() => fastify.close());
    expect(await echo(`ws://127.0.0.1:${fastify.server.address().port}/python/echo`, 'Fastify')).toBe('Fastify');
  });

  test('W-29 node:https: wss', async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'node-asgi-wss-'));
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key',
      '-out', 'cert', '-subj', '/CN=localhost', '-days', '2'], { cwd: folder, stdio: 'ignore' });
    const read = (name) => fs.readFileSync(path.join(folder, name));
    const server = https.createServer({ key: read('key'), cert: read('cert') });
    fs.rmSync(folder, { recursive: true });
    handler.attach(server);
    const port = await listen(server);
    expect(await echo(`wss://127.0.0.1:${port}/echo`, 'secret', { rejectUnauthorized: false })).toBe('secret');
  });
});
