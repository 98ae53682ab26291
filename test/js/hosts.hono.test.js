'use strict';

/** A Python app in Hono on its Node server: by WHATWG requests, and by those of Node below them. */

const { once } = require('node:events');

const { serve, createAdaptorServer } = require('@hono/node-server');
const { RESPONSE_ALREADY_SENT } = require('@hono/node-server/utils/response');
const { Hono } = require('hono');
const { compress } = require('hono/compress');

const { askHttp1, closeServer, exchange, hostSuite, inside, listening, openApp } = require('../helpers/host-suite');

const opened = openApp({ rootPath: '/api' });
const servers = [];

/** @param {Hono} app @returns {Promise<ReturnType<typeof askHttp1>>} a client of its server */
async function client(app) {
  const server = createAdaptorServer({ fetch: app.fetch });
  servers.push(server);
  return askHttp1(`http://127.0.0.1:${await listening(server)}`);
}

beforeAll(async () => {
  // The server prints answers that break off.
  jest.spyOn(console, 'error').mockImplementation(() => {});
  jest.spyOn(console, 'info').mockImplementation(() => {});
  await opened.handler.ready();
});

afterAll(async () => {
  jest.restoreAllMocks();
  await Promise.all(servers.map(closeServer));
  await opened.handler.close();
});

describe('by handler.fetch()', () => {
  let ask;
  const failures = [];

  beforeAll(async () => {
    const app = new Hono();
    app.all('/api/*', (c) => opened.handler.fetch(c.req.raw));
    app.get('/node', (c) => c.text('hono'));
    app.onError((error, c) => {
      failures.push(error);
      return c.text('of Hono', 500);
    });
    ask = await client(app);
  });

  // A WHATWG request says nothing of its connection, and whoever calls fetch() gets its errors.
  hostSuite(() => ({ ask, prefix: '/api', ...inside(opened) }), { client: null, reports: false });

  test('an exception of the app is one that Hono handles', async () => {
    failures.length = 0;
    const answer = await exchange(ask, { path: '/api/raise' });
    expect([answer.status, answer.text]).toEqual([500, 'of Hono']);
    expect(failures).toMatchObject([{ code: 'ERR_PYTHON_EXCEPTION', pythonMessage: 'no answer' }]);
  });

  test('Hono answers the rest', async () => {
    expect((await exchange(ask, { path: '/node' })).text).toBe('hono');
    expect((await exchange(ask, { path: '/apix' })).status).toBe(404);
  });
});

describe('by the listener, with the request of Node', () => {
  let ask;

  beforeAll(async () => {
    const app = new Hono();
    const listener = opened.handler.listener();
    app.all('/api/*', (c) => {
      // Of an answer to HEAD, Hono makes a new one, which says no longer that it has been sent.
      if (c.req.method === 'HEAD') return opened.handler.fetch(c.req.raw);
      listener(c.env.incoming, c.env.outgoing);
      return RESPONSE_ALREADY_SENT;
    });
    ask = await client(app);
  });

  hostSuite(() => ({ ask, prefix: '/api', ...inside(opened) }));
});

test('middleware of Hono changes what the app has answered', async () => {
  const app = new Hono();
  app.use(compress({ threshold: 0 }));
  app.use(async (c, next) => {
    await next();
    c.res.headers.set('x-hono', 'yes');
  });
  app.all('/api/*', (c) => opened.handler.fetch(c.req.raw));
  const ask = await client(app);
  const answer = await exchange(ask, { path: '/api/cookies' });
  expect(answer.values('x-hono')).toEqual(['yes']);
  expect(answer.values('set-cookie')).toEqual(['first=1; Path=/', 'second=2; HttpOnly']);
  const packed = await exchange(ask, { path: '/api/length', headers: { 'accept-encoding': 'gzip' } });
  expect(packed.values('content-encoding')).toEqual(['gzip']);
});

test('serve(), as in the example', async () => {
  const app = new Hono();
  app.all('/api/*', (c) => opened.handler.fetch(c.req.raw));
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
  servers.push(server);
  await once(server, 'listening');
  const ask = askHttp1(`http://127.0.0.1:${server.address().port}`);
  expect((await exchange(ask, { path: '/api/length' })).text).toBe('12345');
});
