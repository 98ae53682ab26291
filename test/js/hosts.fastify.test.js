'use strict';

/** A Python app in Fastify by the plugin: its hooks, its logger, and scopes beside each other. */

const fastify = require('fastify');

const plugin = require('../../lib/fastify');
const { eventually } = require('../helpers/core-apps');
const { HOSTS, askHttp1, exchange, hostSuite, inside, openApp } = require('../helpers/host-suite');

const opened = openApp({ rootPath: '/py' });
const lines = [];
const calls = [];
let server;
let ask;

beforeAll(async () => {
  server = fastify({
    forceCloseConnections: true,
    logger: { level: 'info', stream: { write: (line) => { lines.push(JSON.parse(line)); } } },
  });
  server.addHook('onRequest', async (request) => { calls.push(['onRequest', request.url]); });
  server.addHook('onSend', async (request) => { calls.push(['onSend', request.url]); });
  server.addHook('onResponse', async (request, reply) => {
    calls.push(['onResponse', request.url, reply.raw.statusCode]);
  });
  server.get('/node', async () => ({ answeredBy: 'Fastify' }));
  await server.register(plugin, { prefix: '/py', handler: opened.handler });
  await server.register(async (scope) => {
    scope.addHook('onRequest', async (_, reply) => {
      reply.header('x-scope', 'inner');
      reply.header('set-cookie', 'node=1');
    });
    scope.post('/node', async (request) => request.body);
    await scope.register(plugin, { prefix: '/py', docroot: HOSTS, target: 'hosted:app' });
  }, { prefix: '/inner' });
  await server.register(async (scope) => {
    scope.addHook('onRequest', async (_, reply) => reply.code(401).send({ error: 'not you' }));
    await scope.register(plugin, { prefix: '/py', handler: opened.handler });
  }, { prefix: '/guarded' });
  await server.listen({ port: 0, host: '127.0.0.1' });
  ask = askHttp1(`http://127.0.0.1:${server.server.address().port}`);
});

afterAll(async () => {
  await server.close();
  await opened.handler.close();
});

hostSuite(() => ({ ask, prefix: '/py', ...inside(opened) }));

describe('a second scope', () => {
  test('has its own handler, root path and hooks', async () => {
    const { total } = opened.handler.stats();
    const answer = await exchange(ask, { path: '/inner/py/json' });
    expect(answer.json().scope).toMatchObject({ root_path: '/inner/py', path: '/inner/py/json' });
    expect(answer.values('x-scope')).toEqual(['inner']);
    expect(opened.handler.stats().total).toBe(total);
    expect((await exchange(ask, { path: '/py/json' })).values('x-scope')).toEqual([]);
  });

  test('keeps its body parsers for its own routes', async () => {
    const request = { method: 'POST', body: '{"a": 1}', headers: { 'content-type': 'application/json' } };
    expect((await exchange(ask, { path: '/inner/node', ...request })).json()).toEqual({ a: 1 });
    expect((await exchange(ask, { path: '/inner/py/echo', ...request })).text).toBe('{"a": 1}');
  });

  test('adds its cookies to those of the app', async () => {
    const answer = await exchange(ask, { path: '/inner/py/cookies' });
    expect(answer.values('set-cookie')).toEqual(['node=1', 'first=1; Path=/', 'second=2; HttpOnly']);
  });
});

test('a hook that answers keeps the request from the app', async () => {
  const { total } = opened.handler.stats();
  const answer = await exchange(ask, { path: '/guarded/py/json' });
  expect([answer.status, answer.json()]).toEqual([401, { error: 'not you' }]);
  expect(opened.handler.stats().total).toBe(total);
});

test('the hooks before and after an answer run; onSend, which may change a payload, does not', async () => {
  calls.length = 0;
  await exchange(ask, { path: '/py/length' });
  await eventually(() => calls.length >= 2);
  expect(calls).toEqual([['onRequest', '/py/length'], ['onResponse', '/py/length', 200]]);
  calls.length = 0;
  await exchange(ask, { path: '/node' });
  await eventually(() => calls.length >= 3);
  expect(calls.map(([name]) => name)).toEqual(['onRequest', 'onSend', 'onResponse']);
});

test('the logger has a line for the request and one for its end, with the status of the app', async () => {
  lines.length = 0;
  await exchange(ask, { path: '/py/nothing' });
  await eventually(() => lines.length >= 2);
  expect(lines.map(({ msg }) => msg)).toEqual(['incoming request', 'request completed']);
  expect(lines[0].req).toMatchObject({ method: 'GET', url: '/py/nothing' });
  expect(lines[1]).toMatchObject({ reqId: lines[0].reqId, res: { statusCode: 404 } });
});
