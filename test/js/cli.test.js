'use strict';

/** `npx node-asgi`: doctor and serve, as processes. */

const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');

const { Child } = require('../helpers/child');
const { eventually, later } = require('../helpers/core-apps');
const { selfSigned } = require('../helpers/host-suite');
const { VENV_PYTHON } = require('../helpers/uvicorn');

const ROOT = path.resolve(__dirname, '../..');
const BIN = path.join(ROOT, 'bin/node-asgi.js');
const CORE = path.join(ROOT, 'fixtures/core');
const running = [];
const folders = [];

afterEach(async () => {
  for (const child of running.splice(0)) {
    child.kill('SIGKILL');
    await child.ended();
  }
});
afterAll(() => { for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true }); });

function cli(...args) {
  const child = new Child([BIN, ...args], { env: { ...process.env, NODE_ASGI_PYTHON: VENV_PYTHON, WEB_CONCURRENCY: undefined } });
  running.push(child);
  return child;
}

/** @returns {Promise<{child: Child, port: number}>} a server that listens */
async function serve(...args) {
  const child = cli('serve', '--port', '0', '--docroot', CORE, ...args);
  const [, port] = await child.printed(/Listening on https?:\/\/[\w.]+:(\d+)/);
  return { child, port: Number(port) };
}

function get(port, target = '/', options = {}) {
  return new Promise((resolve) => {
    const req = http.get({ port, host: '127.0.0.1', path: target, agent: false, timeout: 2000, ...options }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (data) => { text += data; });
      res.on('end', () => resolve({ status: res.statusCode, text }));
      res.on('error', () => resolve({ status: 0, text }));
    });
    // What the primary had handed to a worker that is killed is lost, and nobody tells.
    req.on('timeout', () => req.destroy(new Error('no answer')));
    req.on('error', (error) => resolve({ status: 0, text: error.message }));
  });
}

function project(code) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cli-'));
  folders.push(folder);
  const edit = (text) => fs.writeFileSync(path.join(folder, 'main.py'), text);
  edit(code);
  return { folder, edit };
}

const appThatSays = (text) => `
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"${text}"})
`;

describe('wrong use is answered with what was expected, and exit code 2', () => {
  test.each([
    [['nothing'], /unknown command 'nothing': expected serve, doctor, build/],
    [['serve', '--colour'], /--colour/],
    [['serve', '--port', 'x'], /--port: expected a number, got 'x'/],
    [['serve', '--lifespan', 'maybe'], /--lifespan: expected auto, on, off, got 'maybe'/],
    [['serve', 'a:b', 'c:d'], /expected one module:app, got a:b c:d/],
    [['serve', '--ssl-key', 'file'], /--ssl-key and --ssl-cert go together/],
    [['serve', '--reload', '--workers', '2'], /--reload is for one worker/],
    [['build', 'all'], /build takes no arguments, got all/],
  ])('%j', async (args, message) => {
    const child = cli(...args);
    expect(await child.ended()).toEqual({ code: 2, signal: null });
    expect(child.stderr).toMatch(message);
    expect(child.stderr).toMatch(/--help tells what is there/);
  });

  test.each([['--help'], ['serve', '--help'], ['doctor', '--help'], ['build', '--help']])('%s %s', async (...args) => {
    const child = cli(...args);
    expect(await child.ended()).toEqual({ code: 0, signal: null });
    expect(child.stdout).toMatch(/^Usage: npx node-asgi/);
  });
});

test('doctor tells what pythonInfo() tells, and what an app would find', async () => {
  const child = cli('doctor', '--docroot', CORE);
  expect(await child.ended(20_000)).toEqual({ code: 0, signal: null });
  for (const line of [/^version +3\.\d+\.\d+$/m, /^source +NODE_ASGI_PYTHON$/m, /^libpython +\S*libpython3/m, /^ssl +OpenSSL /m, /^symbols +isolated$/m]) {
    expect(child.stdout).toMatch(line);
  }
  const missing = cli('doctor', '--python', '/nowhere/python');
  expect(await missing.ended(20_000)).toEqual({ code: 1, signal: null });
  expect(missing.stderr).toMatch(/^ERR_PYTHON_\w+: .*\/nowhere\/python/);
});

describe('serve', () => {
  test('answers, logs like uvicorn, and ends on SIGTERM when its requests have', async () => {
    const { child, port } = await serve('slow:app');
    const slow = get(port, '/?seconds=0.5');
    await later(100);
    child.kill('SIGTERM');
    expect(await slow).toEqual({ status: 200, text: 'slept' });
    expect(await child.ended()).toEqual({ code: 0, signal: null });
    expect(child.stdout).toMatch(/^INFO: +127\.0\.0\.1:\d+ - "GET \/\?seconds=0\.5 HTTP\/1\.1" 200 OK$/m);
    expect(child.stderr).toBe('');
  });

  test('JSON lines, those of Python too', async () => {
    const { child, port } = await serveJson('logs:app');
    await get(port, '/');
    await eventually(() => child.stdout.includes('"status"'));
    const lines = child.stdout.trim().split('\n').map((line) => JSON.parse(line));
    expect(lines.find(({ status }) => status === 200)).toMatchObject({ level: 'info', method: 'GET', url: '/', client: expect.stringContaining('127.0.0.1') });
    expect(lines.find(({ logger, order }) => logger === 'shop.orders' && order === 7)).toMatchObject({ level: 'info', message: 'shop.orders: order 7' });
  });

  async function serveJson(target) {
    const child = cli('serve', '--port', '0', '--docroot', CORE, '--log-format', 'json', target);
    const [, port] = await child.printed(/Listening on http:\/\/[\w.]+:(\d+)/);
    return { child, port: Number(port) };
  }

  test('an app that does not start: its traceback, and exit code 3', async () => {
    const child = cli('serve', '--port', '0', '--docroot', CORE, 'error_at_import:app');
    expect(await child.ended(20_000)).toEqual({ code: 3, signal: null });
    expect(child.stdout).toMatch(/^ERROR: [\s\S]*Traceback/m);
    const workers = cli('serve', '--port', '0', '--docroot', CORE, '--workers', '2', 'error_at_import:app');
    expect(await workers.ended(20_000)).toEqual({ code: 3, signal: null });
  });

  test('a factory, a root path, no access log, https, a unix socket', async () => {
    const one = await serve('--factory', '--no-access-log', 'factory:create_app');
    expect((await get(one.port)).status).toBe(200);
    const two = await serve('--root-path', '/api', 'scope_dump:app');
    expect(JSON.parse((await get(two.port, '/api/x')).text).scope).toMatchObject({ root_path: '/api', path: '/api/x' });
    const { folder } = project('');
    const { key, cert } = selfSigned();
    fs.writeFileSync(path.join(folder, 'key.pem'), key);
    fs.writeFileSync(path.join(folder, 'cert.pem'), cert);
    const three = await serve('--ssl-key', path.join(folder, 'key.pem'), '--ssl-cert', path.join(folder, 'cert.pem'), 'hello:app');
    const status = await new Promise((resolve) => {
      require('node:https').get({ port: three.port, host: '127.0.0.1', rejectUnauthorized: false, agent: false }, (res) => { res.resume(); resolve(res.statusCode); });
    });
    expect(status).toBe(200);
    const socketPath = path.join(folder, 'socket');
    const four = cli('serve', '--uds', socketPath, '--docroot', CORE, 'hello:app');
    await four.printed(/Listening on unix socket/);
    expect((await get(undefined, '/', { socketPath, host: undefined })).status).toBe(200);
    expect(one.child.stdout).not.toMatch(/"GET/);
  });

  test('--reload loads what was edited, and keeps the app before on a syntax error', async () => {
    const { folder, edit } = project(appThatSays('one'));
    const child = cli('serve', '--port', '0', '--docroot', folder, '--reload');
    const [, port] = await child.printed(/Listening on http:\/\/[\w.]+:(\d+)/);
    const text = async () => (await get(Number(port))).text;
    expect(await text()).toBe('one');
    edit(appThatSays('two'));
    await eventually(async () => (await text()) === 'two');
    edit('async def app(:');
    await child.printed(/was not reloaded[\s\S]*SyntaxError/);
    expect(await text()).toBe('two');
    edit(appThatSays('six'));
    await eventually(async () => (await text()) === 'six');
  });
});

describe('serve --workers', () => {
  /** Asks again and again until told to stop; answers how many failed. */
  function load(port) {
    let over = false;
    let failed = 0;
    let answered = 0;
    const loops = Array.from({ length: 4 }, async () => {
      while (!over) {
        // As a balancer does with what is safe to repeat: once more, on another connection.
        const first = await get(port);
        const { status } = first.status === 0 ? await get(port) : first;
        if (status === 200) answered += 1;
        else failed += 1;
      }
    });
    return async () => {
      over = true;
      await Promise.all(loops);
      return { failed, answered };
    };
  }

  test('one that is killed is replaced, and no request fails', async () => {
    const { child, port } = await serve('--workers', '2', '--no-access-log', 'hello:app');
    await eventually(() => child.stdout.match(/process \d+/g)?.length === 2, { timeout: 10_000 });
    const pids = child.stdout.match(/process (\d+)/g).map((text) => Number(text.slice(8)));
    const stop = load(port);
    process.kill(pids[0], 'SIGKILL');
    await child.printed(new RegExp(`worker ${pids[0]} ended by SIGKILL`));
    await eventually(() => child.stdout.match(/process \d+/g).length === 3, { timeout: 10_000 });
    const { failed, answered } = await stop();
    expect(failed).toBe(0);
    expect(answered).toBeGreaterThan(10);
    child.kill('SIGTERM');
    expect(await child.ended()).toEqual({ code: 0, signal: null });
  });

  test('SIGHUP replaces them one by one, and no request fails', async () => {
    const { child, port } = await serve('--workers', '2', '--no-access-log', 'hello:app');
    await eventually(() => child.stdout.match(/process \d+/g)?.length === 2, { timeout: 10_000 });
    const stop = load(port);
    child.kill('SIGHUP');
    await child.printed(/Replaced$/m);
    expect((await stop()).failed).toBe(0);
    expect(child.stdout.match(/process \d+/g)).toHaveLength(4);
    child.kill('SIGINT');
    expect(await child.ended()).toEqual({ code: 0, signal: null });
  });

  test('--max-requests replaces a worker after its requests, and none fails', async () => {
    const { child, port } = await serve('--workers', '2', '--no-access-log', '--max-requests', '50', '--max-requests-jitter', '10', 'hello:app');
    const stop = load(port);
    await eventually(() => (child.stdout.match(/process \d+/g) ?? []).length >= 4, { timeout: 15_000 });
    expect((await stop()).failed).toBe(0);
    child.kill('SIGTERM');
    expect(await child.ended(10_000)).toEqual({ code: 0, signal: null });
  });
});
