'use strict';

/** diagnostics_channel and AsyncLocalStorage around requests. */

const { AsyncLocalStorage } = require('node:async_hooks');
const diagnostics = require('node:diagnostics_channel');
const http = require('node:http');

const express = require('express');
const { WebSocket } = require('ws');

const { coreApps, eventually } = require('../helpers/core-apps');
const { fetchRaw, RawConnection, requestBytes } = require('../helpers/raw-http');
const { listen } = require('../helpers/servers');

const { open, serve, closeLater } = coreApps();
const storage = new AsyncLocalStorage();
const events = ['start', 'finish', 'error'];
let heard = [];
const listeners = events.map((event) => [`node-asgi:request:${event}`, (message) => heard.push([event, message, storage.getStore()])]);

beforeEach(() => {
  heard = [];
  for (const [name, listener] of listeners) diagnostics.subscribe(name, listener);
});
afterEach(() => { for (const [name, listener] of listeners) diagnostics.unsubscribe(name, listener); });

const kinds = () => heard.map(([event]) => event);

test('a request has a start and a finish, with its timings, in its async context', async () => {
  const { handler } = open('slow');
  await storage.run('mine', () => handler.handleRequest({ url: '/a?seconds=0.05', rootPath: '/mount' }));
  expect(kinds()).toEqual(['start', 'finish']);
  expect(heard.map(([, , store]) => store)).toEqual(['mine', 'mine']);
  const [[, message], [, same]] = heard;
  expect(same).toBe(message);
  expect(message).toMatchObject({
    type: 'http', method: 'GET', url: '/mount/a?seconds=0.05', rootPath: '/mount', status: 200, disconnected: false, error: undefined,
  });
  expect(message.responseTime).toBeGreaterThan(40);
  expect(message.duration).toBeGreaterThanOrEqual(message.responseTime);
});

test('an error has its event, and then its finish', async () => {
  const { handler } = open('error_before_start');
  await expect(handler.handleRequest({ url: '/' })).rejects.toThrow();
  expect(kinds()).toEqual(['start', 'error', 'finish']);
  expect(heard[1][1].error).toMatchObject({ code: 'ERR_PYTHON_EXCEPTION' });
});

test('a client that leaves, a WebSocket and a call', async () => {
  const app = await serve('slow');
  const connection = await RawConnection.open(app.port);
  connection.write(requestBytes({ target: '/?seconds=60' }));
  await eventually(() => heard.length === 1);
  connection.reset();
  await eventually(() => heard.length === 2);
  expect(heard[1]).toMatchObject(['finish', { disconnected: true, status: undefined }]);

  const sockets = await serve('websockets');
  sockets.handler.attach(sockets.server);
  heard = [];
  const client = new WebSocket(`ws://127.0.0.1:${sockets.port}/echo`);
  client.on('open', () => client.close());
  await eventually(() => heard.length === 2);
  expect(heard[1]).toMatchObject(['finish', { type: 'websocket', method: 'GET', url: '/echo', status: 101 }]);

  heard = [];
  const { handler } = open('functions');
  expect(await handler.call('functions:same', 7)).toBe(7);
  await eventually(() => heard.length === 2);
  expect(heard[0][1].type).toBe('call');
});

test('async context: of promises, of streams, and of next()', async () => {
  const { handler } = open('stream');
  await storage.run('promise', async () => {
    const stream = await handler.handleStream({ url: '/?count=3&size=10' });
    for await (const chunk of stream) expect([chunk.length > 0, storage.getStore()]).toEqual([true, 'promise']);
    expect(storage.getStore()).toBe('promise');
  });

  const missing = open('status');
  const app = express();
  app.use((req, res, next) => storage.run(req.url, next));
  app.use(missing.handler.middleware({ fallthrough: true }));
  app.use((req, res) => { res.status(200).send(String(storage.getStore())); });
  const server = closeLater(await listen(http.createServer(app)));
  expect((await fetchRaw(server.port, { target: '/404' })).body.toString()).toBe('/404');
});

test('traceparent reaches the app as it came', async () => {
  const { handler } = open('scope_dump');
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const response = await handler.handleRequest({ url: '/', headers: { traceparent, tracestate: 'a=1,b=2' } });
  expect(response.text()).toContain(traceparent);
  expect(response.text()).toContain('a=1,b=2');
});

test('nobody is told of what nobody watches', async () => {
  for (const [name, listener] of listeners) diagnostics.unsubscribe(name, listener);
  const { handler } = open('hello');
  await handler.handleRequest({ url: '/' });
  expect(heard).toEqual([]);
});
