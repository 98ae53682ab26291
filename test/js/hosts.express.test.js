'use strict';

/** A Python app behind Express 4 and 5: mounted, behind a proxy, after body parsers, beside compression. */

const http = require('node:http');
const zlib = require('node:zlib');

const compression = require('compression');

const { eventually } = require('../helpers/core-apps');
const {
  askHttp1, bytesOf, closeServer, exchange, hostSuite, inside, listening, openApp,
} = require('../helpers/host-suite');

const versions = { 'Express 4': () => require('express4'), 'Express 5': () => require('express') };

const opened = openApp();
const proxied = openApp({ target: 'proxied:app' });
const other = openApp();
const servers = [];

/** A server of what `routes` make. @returns {Promise<ReturnType<typeof askHttp1>>} its client */
async function serve(express, routes) {
  const app = express();
  routes(app);
  const server = http.createServer(app);
  servers.push(server);
  return askHttp1(`http://127.0.0.1:${await listening(server)}`);
}

beforeAll(() => Promise.all([opened, proxied, other].map(({ handler }) => handler.ready())));

afterAll(async () => {
  await Promise.all(servers.map(closeServer));
  await Promise.all([opened, proxied, other].map(({ handler }) => handler.close()));
});

describe.each(Object.entries(versions))('%s', (_, load) => {
  const express = load();

  describe('below a mount', () => {
    let ask;
    beforeAll(async () => {
      ask = await serve(express, (app) => {
        app.get('/node', (req, res) => { res.send('node'); });
        app.use('/py', opened.handler.middleware());
      });
    });

    const { get } = hostSuite(() => ({ ask, prefix: '/py', ...inside(opened) }));

    test('the mount itself is the root, with and without a slash', async () => {
      expect((await get('')).text).toBe('/py /py');
      expect((await get('/')).text).toBe('/py/ /py/');
      expect((await get('?q')).text).toBe('/py /py');
    });

    test('a path below the mount may repeat it', async () => {
      expect((await get('/py/x')).text).toBe('/py/py/x /py/py/x');
    });

    test('a path that only begins like the mount is none of it', async () => {
      const { total } = opened.handler.stats();
      expect((await exchange(ask, { path: '/pyx' })).status).toBe(404);
      expect(opened.handler.stats().total).toBe(total);
    });

    test('routes beside it are served by Express', async () => {
      expect((await exchange(ask, { path: '/node' })).text).toBe('node');
    });
  });

  test.each([
    ['handleRequest()', async (req, res) => (await opened.handler.handleRequest(req)).send(res)],
    ['handleStream()', async (req, res) => (await opened.handler.handleStream(req)).send(res)],
  ])('a route that sends what %s gave keeps repeated fields', async (__, route) => {
    const ask = await serve(express, (app) => { app.get('/cookies', route); });
    const answer = await exchange(ask, { path: '/cookies' });
    expect(answer.values('set-cookie')).toEqual(['first=1; Path=/', 'second=2; HttpOnly']);
    expect(answer.values('x-powered-by')).toEqual(['Express']);
  });

  describe('without a mount', () => {
    let ask;
    beforeAll(async () => {
      ask = await serve(express, (app) => { app.use(opened.handler.middleware()); });
    });
    hostSuite(() => ({ ask, prefix: '', ...inside(opened) }));
  });

  test('a mount with a parameter and an escape is the root path as the client has sent it', async () => {
    const ask = await serve(express, (app) => { app.use('/of/:who', opened.handler.middleware()); });
    const { scope } = (await exchange(ask, { path: '/of/j%C3%BCrgen/json' })).json();
    expect(scope).toMatchObject({
      root_path: '/of/jürgen', path: '/of/jürgen/json', raw_path: '/of/j%C3%BCrgen/json',
    });
  });

  test('two apps on two mounts, one of them in a router', async () => {
    const ask = await serve(express, (app) => {
      app.use('/one', opened.handler.middleware());
      const router = express.Router();
      router.use('/inner', other.handler.middleware());
      app.use('/two', router);
    });
    const before = [opened, other].map(({ handler }) => handler.stats().total);
    const [one, two] = await Promise.all(['/one/json', '/two/inner/json'].map((path) => exchange(ask, { path })));
    expect(one.json().scope).toMatchObject({ root_path: '/one', path: '/one/json' });
    expect(two.json().scope).toMatchObject({ root_path: '/two/inner', path: '/two/inner/json' });
    expect([opened, other].map(({ handler }) => handler.stats().total)).toEqual(before.map((total) => total + 1));
  });

  describe('behind a proxy', () => {
    const headers = {
      'x-forwarded-for': '203.0.113.7', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'public.example',
    };

    test('the scope tells of the connection, and the fields are passed on; `trust proxy` is for Express', async () => {
      let seen;
      const ask = await serve(express, (app) => {
        app.set('trust proxy', true);
        app.use((req, res, next) => {
          seen = { ip: req.ip, protocol: req.protocol, hostname: req.hostname };
          next();
        });
        app.use('/py', opened.handler.middleware());
      });
      const { scope } = (await exchange(ask, { path: '/py/json', headers })).json();
      expect(seen).toEqual({ ip: '203.0.113.7', protocol: 'https', hostname: 'public.example' });
      expect(scope).toMatchObject({ scheme: 'http', client: ['127.0.0.1', expect.any(Number)] });
      for (const [name, value] of Object.entries(headers)) expect(scope.headers).toContainEqual([name, value]);
    });

    test("uvicorn's middleware in the app makes of them what it does under uvicorn", async () => {
      const ask = await serve(express, (app) => { app.use('/py', proxied.handler.middleware()); });
      const { scope } = (await exchange(ask, { path: '/py/json', headers })).json();
      expect(scope).toMatchObject({ scheme: 'https', client: ['203.0.113.7', 0] });
    });
  });

  describe('after body parsers', () => {
    let ask;
    const post = (body, type, more) => exchange(ask, {
      method: 'POST', path: '/py/echo', body, headers: { 'content-type': type, ...more },
    });
    const told = (body, type, more) => exchange(ask, {
      method: 'POST', path: '/py/json', body, headers: { 'content-type': type, ...more },
    });

    beforeAll(async () => {
      ask = await serve(express, (app) => {
        app.use(express.json(), express.urlencoded({ extended: true }), express.text());
        app.use(express.raw({ type: 'application/x-raw' }));
        app.use('/py', opened.handler.middleware());
      });
    });

    test('express.json()', async () => {
      const value = { text: 'zwölf', list: [1, 2.5, null, true] };
      const answer = await told(` ${JSON.stringify(value, null, 2)} `, 'application/json');
      const { got, text, scope } = answer.json();
      expect(got).toEqual(value);
      const length = String(Buffer.byteLength(text, 'latin1'));
      expect(scope.headers.filter(([name]) => name === 'content-length')).toEqual([['content-length', length]]);
      expect(scope.headers.filter(([name]) => name === 'transfer-encoding')).toEqual([]);
    });

    test('express.urlencoded()', async () => {
      const answer = await post('a=1&b=%26+x&a=2&c=%C3%BC', 'application/x-www-form-urlencoded');
      expect([...new URLSearchParams(answer.text)].sort()).toEqual([['a', '1'], ['a', '2'], ['b', '& x'], ['c', 'ü']]);
    });

    test('express.urlencoded() with nested names, which cannot be told apart any more', async () => {
      const before = opened.errors.length;
      const answer = await post('user[name]=ada&user[age]=36', 'application/x-www-form-urlencoded');
      // Anything but other data than was sent.
      if (answer.status === 500) {
        expect(opened.errors.slice(before)).toMatchObject([{ code: 'ERR_ASGI_BODY_CONSUMED' }]);
      } else {
        expect([...new URLSearchParams(answer.text)]).toEqual([['user[name]', 'ada'], ['user[age]', '36']]);
      }
    });

    test('express.text()', async () => {
      expect((await post('grüße', 'text/plain; charset=utf-8')).text).toBe('grüße');
    });

    test('express.text() of another encoding than UTF-8', async () => {
      const body = Buffer.from('grüße', 'latin1');
      expect((await post(body, 'text/plain; charset=iso-8859-1')).bytes).toEqual(body);
    });

    test('express.raw()', async () => {
      const body = Buffer.from([0, 255, 128, 10]);
      expect((await post(body, 'application/x-raw')).bytes).toEqual(body);
    });

    test('a packed body that a parser has unpacked is not said to be packed', async () => {
      const body = zlib.gzipSync('{"packed": true}');
      const { got, scope } = (await told(body, 'application/json', { 'content-encoding': 'gzip' })).json();
      expect(got).toEqual({ packed: true });
      expect(scope.headers.filter(([name]) => name === 'content-encoding')).toEqual([]);
    });

    test('a field whose value is the name of another is left alone', async () => {
      const answer = await told('{}', 'application/json', {
        'x-first': 'content-length', 'x-second': 'transfer-encoding', 'x-third': 'kept',
      });
      const fields = answer.json().scope.headers.filter(([name]) => name.startsWith('x-'));
      expect(fields).toEqual([['x-first', 'content-length'], ['x-second', 'transfer-encoding'], ['x-third', 'kept']]);
    });

    test('a body of a type that no parser takes is streamed', async () => {
      const asked = ask({ method: 'POST', path: '/py/echo', headers: { 'content-type': 'application/octet-stream' } });
      asked.upload.write('one,');
      const { body } = await asked.response;
      asked.upload.end('two');
      expect(String(await bytesOf(body))).toBe('one,two');
    });

    test('a request without a body', async () => {
      expect((await exchange(ask, { path: '/py/json' })).json()).toMatchObject({ got: null, text: '' });
    });

    test('an empty body', async () => {
      expect((await post('', 'application/json')).bytes).toHaveLength(0);
    });
  });

  describe('after a parser that keeps the bytes', () => {
    test('they are what the app gets, white space and all', async () => {
      const ask = await serve(express, (app) => {
        app.use(express.json({ verify: (req, _res, bytes) => { req.rawBody = bytes; } }));
        app.use('/py', opened.handler.middleware());
      });
      const body = '{ "a" : 1e2 }\n';
      const answer = await exchange(ask, {
        method: 'POST', path: '/py/echo', body, headers: { 'content-type': 'application/json' },
      });
      expect(answer.text).toBe(body);
    });
  });

  describe('after a parser that leaves nothing', () => {
    const parsers = {
      'reads all and keeps nothing': (req, _res, next) => { req.resume().on('end', next); },
      'reads all and passes on in the next turn': (req, _res, next) => {
        req.resume().on('end', () => setImmediate(next));
      },
      'has read a part': (req, _res, next) => {
        req.once('data', () => {
          req.pause();
          next();
        });
      },
      'makes an object of a multipart body': (req, _res, next) => {
        req.body = { field: 'value' };
        req.resume().on('end', next);
      },
    };

    test.each(Object.entries(parsers))('that %s, the answer is a 500 at once', async (__, parser) => {
      const ask = await serve(express, (app) => {
        app.use(parser);
        app.use('/py', opened.handler.middleware());
      });
      const before = opened.errors.length;
      const { total } = opened.handler.stats();
      const answer = await exchange(ask, {
        method: 'POST', path: '/py/echo', body: Buffer.alloc(100_000),
        headers: { 'content-type': 'multipart/form-data; boundary=x' },
      });
      expect(answer.status).toBe(500);
      expect(opened.errors.slice(before)).toMatchObject([{ code: 'ERR_ASGI_BODY_CONSUMED' }]);
      expect(opened.handler.stats().total).toBe(total);
    });
  });

  describe('after compression()', () => {
    let ask;
    const gzip = { 'accept-encoding': 'gzip' };

    beforeAll(async () => {
      ask = await serve(express, (app) => {
        app.use(compression({ threshold: 0 }));
        app.use('/py', opened.handler.middleware());
      });
    });

    describe('for a client that takes it as it is', () => {
      hostSuite(() => ({ ask, prefix: '/py', ...inside(opened) }));
    });

    test('an answer is packed, and its fields are kept', async () => {
      const answer = await exchange(ask, { path: '/py/length', headers: gzip });
      expect(answer.values('content-encoding')).toEqual(['gzip']);
      expect(answer.values('content-length')).toEqual([]);
      expect(zlib.gunzipSync(answer.bytes).toString()).toBe('12345');
      const cookies = await exchange(ask, { path: '/py/cookies', headers: gzip });
      expect(cookies.values('set-cookie')).toEqual(['first=1; Path=/', 'second=2; HttpOnly']);
    });

    test('the first piece of a packed answer arrives before the app makes the last', async () => {
      const asked = ask({ path: '/py/stream', headers: gzip });
      asked.upload.end();
      const { body, headers } = await asked.response;
      expect(headers).toContainEqual(['content-encoding', 'gzip']);
      const unpacked = body.pipe(zlib.createGunzip());
      const pieces = [];
      unpacked.on('data', (piece) => pieces.push(piece.toString()));
      const ended = new Promise((resolve) => { unpacked.once('end', resolve); });
      try {
        await eventually(() => pieces.length > 0, { timeout: 1000 });
        expect(pieces).toEqual(['data: first\n\n']);
      } finally {
        await opened.handler.handleRequest({ url: '/open' });
      }
      await ended;
      expect(pieces.join('')).toBe('data: first\n\ndata: last\n\n');
    });
  });

  test('before compression(), an answer of the app is left as it is', async () => {
    const ask = await serve(express, (app) => {
      app.use('/py', opened.handler.middleware());
      app.use(compression({ threshold: 0 }));
      app.get('/node', (req, res) => { res.send('node'); });
    });
    const headers = { 'accept-encoding': 'gzip' };
    const python = await exchange(ask, { path: '/py/length', headers });
    expect([python.values('content-encoding'), python.text]).toEqual([[], '12345']);
    expect((await exchange(ask, { path: '/node', headers })).values('content-encoding')).toEqual(['gzip']);
  });

  test('what Express has set before stays, and the app has the last word', async () => {
    const ask = await serve(express, (app) => {
      app.use((req, res, next) => {
        res.set({ 'x-express': 'kept', 'content-type': 'text/html' });
        res.cookie('node', '1');
        next();
      });
      app.use('/py', opened.handler.middleware());
    });
    const answer = await exchange(ask, { path: '/py/length' });
    expect(answer.values('x-express')).toEqual(['kept']);
    expect(answer.values('content-type')).toEqual(['text/plain']);
    expect(answer.values('set-cookie')).toEqual(['node=1; Path=/']);
    const cookies = await exchange(ask, { path: '/py/cookies' });
    expect(cookies.values('set-cookie')).toEqual(['node=1; Path=/', 'first=1; Path=/', 'second=2; HttpOnly']);
  });

  describe('the error middleware of Express', () => {
    let ask;
    const seen = [];

    beforeAll(async () => {
      ask = await serve(express, (app) => {
        app.use('/py', opened.handler.middleware({ fallthrough: true }));
        app.get('/fails', () => { throw new Error('of a route'); });
        app.use('/py', (req, res, next) => { next(Object.assign(new Error('not in Python'), { status: 404 })); });
        app.use((error, req, res, _next) => {
          seen.push(error.message);
          res.status(error.status ?? 500).json({ handled: error.message });
        });
      });
    });

    test('has the errors of other routes', async () => {
      const answer = await exchange(ask, { path: '/fails' });
      expect([answer.status, answer.json()]).toEqual([500, { handled: 'of a route' }]);
    });

    test('has what comes after a 404 of the app, when it falls through', async () => {
      const answer = await exchange(ask, { path: '/py/nothing' });
      expect([answer.status, answer.json()]).toEqual([404, { handled: 'not in Python' }]);
    });

    test('does not have the exceptions of the app, which the handler answers and reports', async () => {
      const before = opened.errors.length;
      const { length } = seen;
      expect((await exchange(ask, { path: '/py/raise' })).status).toBe(500);
      expect(seen).toHaveLength(length);
      expect(opened.errors.slice(before)).toMatchObject([{ pythonMessage: 'no answer' }]);
    });
  });
});
