'use strict';

/** Clients that hang up, callers that abort, and events that must not wait for each other. */

const http = require('node:http');
const net = require('node:net');
const path = require('node:path');

const { PythonHandler } = require('../..');
const { CORE, eventually, later } = require('../helpers/core-apps');
const { serveHttp } = require('../helpers/servers');
const { venvPython } = require('../../scripts/setup');

const docroot = path.resolve(__dirname, '../../fixtures/leaving');
const handlers = [];
const errors = [];
const servers = [];

async function open(target, options) {
  const handler = new PythonHandler({ docroot, target, python: venvPython, ...options });
  handler.on('error', (error) => errors.push(error));
  handlers.push(handler);
  await handler.ready();
  return handler;
}

async function serve(options) {
  const handler = await open('leaves:app', options);
  const server = await serveHttp(handler);
  servers.push(server);
  const state = async () => (await handler.handleRequest({ url: '/state' })).json();
  // The tasks of the lifespans of all handlers.
  const { tasks } = await state();
  return { handler, port: server.port, state, tasks };
}

afterAll(async () => {
  for (const server of servers) await server.close();
  await Promise.all(handlers.map((handler) => handler.close()));
});

/** Reads the first bytes of a response and hangs up. */
const hangUp = (port, target) => new Promise((resolve, reject) => {
  const socket = net.connect(port, '127.0.0.1', () => socket.write(`GET ${target} HTTP/1.1\r\nhost: x\r\n\r\n`));
  socket.once('data', () => socket.destroy());
  socket.once('error', reject);
  socket.once('close', resolve);
});

describe.each([['2.5', 'send() raises'], ['2.3', 'receive() is listened to']])('F-05 Starlette with spec version %s: %s', (specVersion) => {
  let app;
  beforeAll(async () => { app = await serve({ specVersion }); });

  test('1,000 aborted streams leave no task and no open generator', async () => {
    const before = await app.state();
    for (let round = 0; round < 20; round += 1) {
      await Promise.all(Array.from({ length: 50 }, () => hangUp(app.port, '/stream')));
    }
    const after = await eventually(async () => {
      const now = await app.state();
      return now.closed === now.opened && now.tasks === app.tasks && now;
    });
    expect(after.opened - before.opened).toBe(1000);
    await eventually(() => app.handler.stats().inFlight === 0);
    expect(errors).toEqual([]);
  });

  test('an abort of handleStream() ends its generator too', async () => {
    const controller = new AbortController();
    const stream = await app.handler.handleStream({ url: '/stream' }, { signal: controller.signal });
    stream.once('data', () => controller.abort());
    await new Promise((resolve) => { stream.once('close', resolve); });
    await eventually(async () => { const now = await app.state(); return now.closed === now.opened && now.tasks === app.tasks; });
  });
});

test('H-10 a client that hangs up wakes a waiting receive() within 50 ms', async () => {
  const app = await serve();
  const took = [];
  for (let round = 0; round < 5; round += 1) {
    const socket = net.connect(app.port, '127.0.0.1', () => socket.write('GET /waits HTTP/1.1\r\nhost: x\r\n\r\n'));
    await eventually(async () => { const now = await app.state(); return now.opened - now.closed === 1; });
    const heard = app.handler.handleRequest({ url: `/disconnect?number=${round}` });
    const left = Date.now();
    socket.destroy();
    took.push((await heard).json() - left);
  }
  // The middle one: a machine that pauses is not what is tested.
  expect(took.sort((a, b) => a - b)[2]).toBeLessThan(50);
});

test('an AbortSignal rejects within 20 ms, and the app is told', async () => {
  const app = await serve();
  const took = [];
  for (let round = 0; round < 5; round += 1) {
    const controller = new AbortController();
    const waiting = app.handler.handleRequest({ url: '/waits' }, { signal: controller.signal });
    await eventually(async () => (await app.state()).opened > (await app.state()).closed);
    const began = performance.now();
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    took.push(performance.now() - began);
    await eventually(async () => { const now = await app.state(); return now.opened === now.closed; });
  }
  expect(took.sort((a, b) => a - b)[2]).toBeLessThan(20);
});

test('H-34 events leave at once, never together', async () => {
  const app = await serve();
  const times = await new Promise((resolve, reject) => {
    http.get({ port: app.port, host: '127.0.0.1', path: '/events' }, (response) => {
      const seen = [];
      response.on('data', (data) => { for (const event of String(data).match(/data: \d/g)) seen.push([event, performance.now()]); });
      response.on('end', () => resolve(seen));
    }).on('error', reject);
  });
  expect(times.map(([event]) => event)).toEqual(['data: 0', 'data: 1', 'data: 2']);
  for (const n of [1, 2]) expect(times[n][1] - times[n - 1][1]).toBeGreaterThan(200);
});

test('10,000 tiny sends cost a wake-up a batch, not one each', async () => {
  const handler = await open('stream:app', { docroot: CORE });
  const before = handler.stats().wakeups;
  const stream = await handler.handleStream({ url: '/?count=10000&size=3' });
  let size = 0;
  for await (const chunk of stream) size += chunk.length;
  expect(size).toBe(30000);
  const after = handler.stats().wakeups;
  // At most one for each drain of 256 events, and some for the start and the credit.
  expect(after.node - before.node).toBeLessThan(10000 / 100);
  expect(after.python - before.python).toBeLessThan(10);
  await later(0);
});
