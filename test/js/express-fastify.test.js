'use strict';

const { spawn } = require('node:child_process');
const { createHash } = require('node:crypto');
const http = require('node:http');
const path = require('node:path');
const { Readable } = require('node:stream');

const { PythonHandler } = require('../..');
const { fetchRaw, headerValues, IncompleteResponse, RawConnection, requestBytes } = require('../helpers/raw-http');
const { listen } = require('../helpers/servers');

const CORE = path.resolve(__dirname, '../../fixtures/core');
const SYNC_SCRIPT = path.resolve(__dirname, '../helpers/sync-script.js');

const sha256 = (data) => createHash('sha256').update(data).digest('hex');
const json = (response) => JSON.parse(response.body.toString());

/** Handlers by the name of their app, ready. */
const handlers = {};
const APPS = ['echo', 'scope_dump', 'response_headers', 'upload_sink', 'stream', 'gated_stream', 'error_before_start',
  'error_after_start'];
const reported = [];
const servers = [];

beforeAll(async () => {
  for (const name of APPS) {
    handlers[name] = new PythonHandler({ docroot: CORE, target: `${name}:app` });
    handlers[name].on('error', (error) => reported.push(error));
  }
  await Promise.all(Object.values(handlers).map((handler) => handler.ready()));
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

afterAll(async () => {
  await Promise.all(Object.values(handlers).map((handler) => handler.close()));
});

/** An Express app on a free port. @param {(app: any, express: any) => void} routes */
async function expressApp(routes, express = require('express')) {
  const app = express();
  app.disable('x-powered-by');
  routes(app, express);
  const server = await listen(http.createServer(app));
  servers.push(server);
  return server.port;
}

/** A Fastify app on a free port. @param {(app: any) => void} routes */
async function fastifyApp(routes) {
  const app = require('fastify')({ forceCloseConnections: true });
  routes(app);
  await app.listen({ port: 0, host: '127.0.0.1' });
  servers.push(app);
  return app.server.address().port;
}

describe('handleRequest', () => {
  const express = [['Express 5', () => require('express')], ['Express 4', () => require('express4')]];

  test.each(express)('answers from an %s route with the request of the route', async (_, load) => {
    const port = await expressApp((app) => {
      app.get('/ask/:what', async (req, res) => {
        (await handlers.scope_dump.handleRequest(req)).send(res);
      });
    }, load());
    const response = await fetchRaw(port, { target: '/ask/a%20b?q=1', headers: [['X-One', '1'], ['x-one', '2']] });
    expect(response.status).toBe(200);
    const { scope } = json(response);
    expect(scope).toMatchObject({
      type: 'http', method: 'GET', path: '/ask/a b', raw_path: '/ask/a%20b', query_string: 'q=1', root_path: '',
      scheme: 'http', http_version: '1.1',
    });
    expect(scope.headers).toEqual([['host', 'example.test'], ['x-one', '1'], ['x-one', '2']]);
    expect(scope.client[0]).toBe('127.0.0.1');
    expect(scope.server).toEqual(['127.0.0.1', port]);
  });

  test('streams an upload from an Express route into the app', async () => {
    const port = await expressApp((app) => {
      app.post('/upload', async (req, res) => {
        (await handlers.upload_sink.handleRequest(req)).send(res);
      });
    });
    const body = Buffer.alloc(1_000_000, 'upload');
    const response = await fetchRaw(port, { method: 'POST', target: '/upload', body });
    expect(json(response)).toMatchObject({ size: body.length, sha256: sha256(body) });
    expect(json(response).messages).toBeGreaterThan(1);
  });

  const parsed = [
    ['application/json', '{"a": [1, "zwei"]}', '{"a":[1,"zwei"]}'],
    ['application/x-www-form-urlencoded', 'a=1&b=zwei+drei', 'a=1&b=zwei+drei'],
  ];
  test.each(parsed)('takes a body of type %s that a parser has read already', async (type, body, expected) => {
    const port = await expressApp((app, express5) => {
      app.use(express5.json(), express5.urlencoded({ extended: false }));
      app.post('/', async (req, res) => {
        (await handlers.echo.handleRequest(req)).send(res);
      });
    });
    const response = await fetchRaw(port, { method: 'POST', target: '/', headers: [['Content-Type', type]], body });
    expect(response.body.toString()).toBe(expected);
  });

  test('says what to do about a body that is gone', async () => {
    const port = await expressApp((app) => {
      app.post('/', (req, res) => {
        req.resume().on('end', async () => {
          const error = await handlers.echo.handleRequest(req).then(() => null, (reason) => reason);
          res.json({ code: error.code, message: error.message });
        });
      });
    });
    const response = await fetchRaw(port, { method: 'POST', target: '/', body: 'gone' });
    expect(json(response).code).toBe('ERR_ASGI_BODY_CONSUMED');
    expect(json(response).message).toMatch(/rawBody/);
  });

  test('answers from a Fastify route with the raw request', async () => {
    const port = await fastifyApp((app) => {
      app.get('/ask', async (request, reply) => {
        const response = await handlers.scope_dump.handleRequest(request.raw);
        return reply.code(response.status).headers(response.headers.toJSON()).send(response.body);
      });
    });
    const response = await fetchRaw(port, { target: '/ask?q=1' });
    expect(headerValues(response, 'content-type')).toEqual(['application/json']);
    expect(json(response).scope).toMatchObject({ path: '/ask', query_string: 'q=1', server: ['127.0.0.1', port] });
  });

  test('answers from a Fastify route with a request made of its parts', async () => {
    const port = await fastifyApp((app) => {
      app.post('/items', async (request, reply) => {
        const response = await handlers.echo.handleRequest({
          method: request.method, url: request.url, headers: { 'content-type': 'application/json' },
          body: JSON.stringify(request.body),
        });
        return reply.code(response.status).type('application/json').send(response.body);
      });
    });
    const headers = [['Content-Type', 'application/json']];
    const response = await fetchRaw(port, { method: 'POST', target: '/items', headers, body: '{"a": 1}' });
    expect(json(response)).toEqual({ a: 1 });
  });

  test('keeps repeated Set-Cookie headers apart', async () => {
    const port = await expressApp((app) => {
      app.get('/', async (req, res) => {
        (await handlers.response_headers.handleRequest(req)).send(res);
      });
    });
    const response = await fetchRaw(port, { target: '/' });
    expect(headerValues(response, 'set-cookie')).toEqual(['first=1; Path=/', 'second=2; Path=/only']);
    expect(headerValues(response, 'x-latin')).toEqual(['caf\xe9']);
  });

  test('rejects with the exception of the app, which the route answers as it likes', async () => {
    const port = await expressApp((app) => {
      app.get('/', async (req, res) => {
        try {
          (await handlers.error_before_start.handleRequest(req)).send(res);
        } catch (error) {
          res.status(502).json({ code: error.code, type: error.pythonType, message: error.pythonMessage });
        }
      });
    });
    const response = await fetchRaw(port, { target: '/' });
    expect(response.status).toBe(502);
    expect(json(response)).toEqual({
      code: 'ERR_PYTHON_EXCEPTION', type: expect.stringMatching(/TeapotError$/), message: 'no coffee here',
    });
  });

  test('an app mounted in an Express router sees the whole prefix as its root path', async () => {
    const port = await expressApp((app, express5) => {
      const router = express5.Router();
      router.use('/inner', handlers.scope_dump.middleware());
      app.use('/outer', router);
    });
    const { scope } = json(await fetchRaw(port, { target: '/outer/inner/page?q=1' }));
    expect(scope).toMatchObject({
      root_path: '/outer/inner', path: '/outer/inner/page', raw_path: '/outer/inner/page', query_string: 'q=1',
    });
  });

  test('routes of Express come before and after the app', async () => {
    const port = await expressApp((app) => {
      app.get('/first', (_, res) => { res.send('express'); });
      app.use('/python', handlers.echo.middleware());
      app.get('/last', (_, res) => { res.send('express too'); });
    });
    const bodies = await Promise.all(['/first', '/last'].map((target) => fetchRaw(port, { target })));
    expect(bodies.map((response) => response.body.toString())).toEqual(['express', 'express too']);
    const response = await fetchRaw(port, { method: 'PUT', target: '/python/x', body: 'echoed' });
    expect(response.body.toString()).toBe('echoed');
    expect(headerValues(response, 'x-method')).toEqual(['PUT']);
  });
});

describe('handleStream', () => {
  const ways = {
    'send(res)': async (stream, res) => { stream.send(res); },
    'pipe(res)': async (stream, res) => {
      for (const name of stream.headers.keys()) res.setHeader(name, stream.headers.getAll(name));
      res.statusCode = stream.status;
      stream.pipe(res);
    },
    'for await': async (stream, res) => {
      res.writeHead(stream.status, { 'content-type': stream.headers.get('content-type') });
      for await (const chunk of stream) res.write(chunk);
      res.end();
    },
    'next()': async (stream, res) => {
      res.writeHead(stream.status, { 'content-type': stream.headers.get('content-type') });
      for (let chunk = await stream.next(); chunk !== null; chunk = await stream.next()) res.write(chunk);
      res.end();
    },
  };

  describe.each(Object.entries(ways))('by %s', (_, answer) => {
    test('passes a large body on whole', async () => {
      const port = await expressApp((app) => {
        app.get('/', async (req, res) => answer(await handlers.stream.handleStream(req), res));
      });
      const response = await fetchRaw(port, { target: '/?count=100&size=10007' });
      const expected = Buffer.concat(Array.from({ length: 100 }, (__, number) => Buffer.alloc(10007, number)));
      expect(response.status).toBe(200);
      expect(headerValues(response, 'content-type')).toEqual(['application/octet-stream']);
      expect(response.body.length).toBe(expected.length);
      expect(sha256(response.body)).toBe(sha256(expected));
    });

    test('passes the first piece on before the app makes the last', async () => {
      const port = await expressApp((app) => {
        app.get('/', async (req, res) => answer(await handlers.gated_stream.handleStream(req), res));
        app.get('/open', async (req, res) => (await handlers.gated_stream.handleRequest(req)).send(res));
      });
      const connection = await RawConnection.open(port);
      try {
        await connection.write(requestBytes({ target: '/' }));
        let opened;
        const seen = [];
        const response = await connection.readResponse({
          onData: (data) => {
            seen.push(data.toString());
            opened ??= fetchRaw(port, { target: '/open' });
          },
        });
        expect((await opened).body.toString()).toBe('1');
        expect(seen).toEqual(['first\n', 'last\n']);
        expect(response.body.toString()).toBe('first\nlast\n');
      } finally {
        connection.destroy();
      }
    });
  });

  test('a response that breaks off is an error of the stream and never looks whole', async () => {
    const stream = await handlers.error_after_start.handleStream({ url: '/' });
    expect(stream.status).toBe(200);
    const pieces = [];
    const read = async () => { for await (const piece of stream) pieces.push(piece); };
    await expect(read()).rejects.toMatchObject({ pythonType: 'RuntimeError', message: /the second half is missing/ });

    const port = await expressApp((app) => {
      app.get('/', async (req, res) => { (await handlers.error_after_start.handleStream(req)).send(res); });
    });
    await expect(fetchRaw(port, { target: '/' })).rejects.toBeInstanceOf(IncompleteResponse);
  });

  test('an error right behind the start waits until the caller has the stream', async () => {
    const asked = handlers.error_after_start.handleStream({ url: '/' });
    // Keeps this thread busy, so that start, body and error arrive together.
    const until = Date.now() + 50;
    setImmediate(() => { while (Date.now() < until); });
    const stream = await asked;
    const error = await new Promise((resolve) => { stream.once('error', resolve); });
    expect(error).toMatchObject({ pythonType: 'RuntimeError', pythonMessage: 'the second half is missing' });
  });

  test('makes an app wait that is faster than its reader', async () => {
    const sent = async () => Number((await handlers.stream.handleRequest({ url: '/sent' })).text());
    const stream = await handlers.stream.handleStream({ url: '/?count=1000&size=65536' });
    let size = (await stream.next()).length; // all that has come so far
    expect(size).toBeGreaterThan(0);
    let before = -1;
    for (let now = await sent(); now !== before; now = await sent()) {
      before = now;
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
    expect(before).toBeLessThan(20);
    for (let chunk = await stream.next(); chunk !== null; chunk = await stream.next()) size += chunk.length;
    expect(size).toBe(1000 * 65536);
    expect(await sent()).toBe(1000);
  });

  test('a request body that is a stream arrives as it is written', async () => {
    const pieces = ['one, ', 'two, ', 'three'];
    const response = await handlers.echo.handleStream({ method: 'POST', url: '/', body: Readable.from(pieces) });
    const received = [];
    for await (const piece of response) received.push(piece);
    expect(Buffer.concat(received).toString()).toBe(pieces.join(''));
  });

  test('a Fastify route sends the stream as its answer', async () => {
    const port = await fastifyApp((app) => {
      app.get('/', async (request, reply) => {
        const stream = await handlers.stream.handleStream(request.raw);
        return reply.code(stream.status).type(stream.headers.get('content-type')).send(stream);
      });
    });
    const response = await fetchRaw(port, { target: '/?count=10&size=1000' });
    expect(response.framing).toBe('chunked');
    expect(response.body.length).toBe(10_000);
  });

  test('stays abortable until it has ended', async () => {
    const abort = new AbortController();
    const stream = await handlers.gated_stream.handleStream({ url: '/' }, { signal: abort.signal });
    expect((await stream.next()).toString()).toBe('first\n');
    const next = stream.next();
    abort.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    await handlers.gated_stream.handleRequest({ url: '/open' });
  });
});

describe('handleRequestSync', () => {
  test('answers in a script that has no server, in line, and lets it end', async () => {
    const child = spawn(process.execPath, [SYNC_SCRIPT], { stdio: ['ignore', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8').on('data', (text) => { output[name] += text; });
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
    const [code, signal] = await new Promise((resolve) => { child.once('close', (...ending) => resolve(ending)); });
    clearTimeout(timer);
    expect({ code, signal, stderr: output.stderr }).toEqual({ code: 0, signal: null, stderr: '' });
    const { answers, ticks } = JSON.parse(output.stdout);
    expect(answers).toEqual(['one', 'three', ''].map((body) => ({
      status: 200, type: 'application/json', size: body.length, sha256: sha256(body), messages: 1,
    })));
    expect(ticks).toBe(0);
  });

  test('refuses a body that is a stream', () => {
    expect(() => handlers.echo.handleRequestSync({ method: 'POST', url: '/', body: Readable.from(['x']) }))
      .toThrow(expect.objectContaining({ code: 'ERR_ASGI_REQUEST' }));
  });

  test('throws the exception of the app', () => {
    expect(() => handlers.error_before_start.handleRequestSync({ url: '/' }))
      .toThrow(expect.objectContaining({ pythonMessage: 'no coffee here' }));
  });
});

test('nothing was reported that a caller had heard of already', () => {
  expect(reported.map((error) => error.message)).toEqual([]);
});
