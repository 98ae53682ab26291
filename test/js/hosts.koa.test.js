'use strict';

/** A Python app in Koa: alone, and below a prefix as koa-mount makes it. */

const http = require('node:http');
const { finished } = require('node:stream/promises');

const Koa = require('koa');

const { askHttp1, closeServer, exchange, hostSuite, inside, listening, openApp } = require('../helpers/host-suite');

const opened = openApp();
const rooted = openApp({ rootPath: '/py' });
const servers = [];

/** @param {(app: any) => void} routes @returns {Promise<ReturnType<typeof askHttp1>>} a client of the server */
async function serve(routes) {
  const app = new Koa();
  // Clients that leave are errors to Koa, which prints them unless somebody listens.
  app.on('error', () => {});
  routes(app);
  const server = http.createServer(app.callback());
  servers.push(server);
  return askHttp1(`http://127.0.0.1:${await listening(server)}`);
}

/** As koa-mount does it: middleware sees the path below the prefix. */
function mount(prefix, middleware) {
  return async (ctx, next) => {
    const { path } = ctx;
    if (path !== prefix && !path.startsWith(`${prefix}/`)) return next();
    ctx.mountPath = prefix;
    ctx.path = path.slice(prefix.length) || '/';
    await middleware(ctx, next);
    ctx.path = path;
    return undefined;
  };
}

/** The recipe of docs/hosts.md. */
function python(listener) {
  return async (ctx) => {
    ctx.respond = false;
    ctx.req.originalUrl = ctx.originalUrl;
    ctx.req.baseUrl = ctx.mountPath ?? '';
    listener(ctx.req, ctx.res);
    await finished(ctx.res).catch(() => {});
  };
}

beforeAll(() => Promise.all([opened, rooted].map(({ handler }) => handler.ready())));

afterAll(async () => {
  await Promise.all(servers.map(closeServer));
  await Promise.all([opened, rooted].map(({ handler }) => handler.close()));
});

describe('alone', () => {
  let ask;
  beforeAll(async () => {
    const serveRequest = opened.handler.listener();
    ask = await serve((app) => app.use((ctx) => {
      ctx.respond = false;
      serveRequest(ctx.req, ctx.res);
    }));
  });
  hostSuite(() => ({ ask, prefix: '', ...inside(opened) }));
});

describe('below a mount', () => {
  let ask;
  beforeAll(async () => {
    ask = await serve((app) => {
      app.use(mount('/py', python(opened.handler.listener())));
      app.use((ctx) => { ctx.body = 'koa'; });
    });
  });

  const { get } = hostSuite(() => ({ ask, prefix: '/py', ...inside(opened) }));

  test('a path below the mount may repeat it', async () => {
    expect((await get('/py/x')).text).toBe('/py/py/x /py/py/x');
  });

  test('Koa answers the rest', async () => {
    expect((await exchange(ask, { path: '/pyx' })).text).toBe('koa');
  });
});

describe('below a mount that the option rootPath names', () => {
  let ask;
  beforeAll(async () => {
    const serveRequest = rooted.handler.listener();
    ask = await serve((app) => app.use(mount('/py', (ctx) => {
      ctx.respond = false;
      serveRequest(ctx.req, ctx.res);
    })));
  });
  hostSuite(() => ({ ask, prefix: '/py', ...inside(rooted) }));
});

test('middleware around the app sees its beginning and its end, and may set fields before', async () => {
  const order = [];
  const ask = await serve((app) => {
    app.use(async (ctx, next) => {
      order.push('before');
      ctx.set('x-koa', 'kept');
      ctx.cookies.set('koa', '1');
      await next();
      order.push(`after ${ctx.res.statusCode}`);
      // As a middleware does that tells how long an answer took: too late, and no harm.
      ctx.set('x-response-time', '1');
    });
    app.use(python(opened.handler.listener()));
  });
  const answer = await exchange(ask, { path: '/cookies' });
  expect(answer.status).toBe(200);
  expect(answer.values('x-koa')).toEqual(['kept']);
  expect(answer.values('set-cookie')).toEqual(['koa=1; path=/; httponly', 'first=1; Path=/', 'second=2; HttpOnly']);
  expect(answer.values('x-response-time')).toEqual([]);
  expect(order).toEqual(['before', 'after 200']);
});

test('an error of other middleware is answered by Koa', async () => {
  const ask = await serve((app) => {
    app.use((ctx, next) => (ctx.path === '/fails' ? ctx.throw(418, 'of Koa') : next()));
    app.use(python(opened.handler.listener()));
  });
  const answer = await exchange(ask, { path: '/fails' });
  expect([answer.status, answer.text]).toEqual([418, 'of Koa']);
  expect((await exchange(ask, { path: '/length' })).text).toBe('12345');
});
