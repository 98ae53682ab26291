'use strict';

/** A build that counts its live exchanges, Python references and environments ends where it began. */

const fs = require('node:fs');
const path = require('node:path');

const { Child } = require('../helpers/child');

const root = path.resolve(__dirname, '../..');
const counting = path.join(root, 'build', 'cmake', 'dev', 'node_asgi.node');

const SCRIPT = `
  const { once } = require('node:events');
  const http = require('node:http');
  const net = require('node:net');
  const { Worker } = require('node:worker_threads');
  const library = ${JSON.stringify(root)};
  const { PythonHandler } = require(library);
  const { liveCounts } = require(process.env.NODE_ASGI_BINARY);
  const docroot = ${JSON.stringify(path.join(root, 'fixtures', 'core'))};
  const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const host = (target) => new PythonHandler({ docroot, target });

  /** One client that hangs up in the middle of a response. */
  function hangUp(port) {
    return new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => socket.write('GET /?count=1000&size=65536 HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n'));
      socket.once('data', () => socket.destroy());
      socket.once('close', resolve);
    });
  }

  async function load() {
    const [hello, echo, stream, fails, slow] = ['hello', 'echo', 'stream', 'error_before_start', 'slow'].map((name) => host(name + ':app'));
    await Promise.all([hello, echo, stream, fails, slow].map((handler) => handler.ready()));
    await Promise.all(Array.from({ length: 50 }, () => hello.handleRequest({ url: '/' })));
    await Promise.all(Array.from({ length: 20 }, () => echo.handleRequest({ method: 'POST', url: '/', body: Buffer.alloc(100_000) })));
    for (let i = 0; i < 10; i += 1) await fails.handleRequest({ url: '/' }).catch(() => {});
    for (let i = 0; i < 10; i += 1) {
      await slow.handleRequest({ url: '/?seconds=5' }, { signal: AbortSignal.timeout(5) }).catch(() => {});
    }
    const server = http.createServer(stream.listener()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    await Promise.all(Array.from({ length: 10 }, () => hangUp(server.address().port)));
    server.close();
    const streams = await Promise.all(Array.from({ length: 10 }, () => stream.handleStream({ url: '/?count=100&size=1000' })));
    for (const one of streams) one.destroy();
    await Promise.all([hello, echo, stream, fails, slow].map((handler) => handler.close({ timeout: 1000 })));
  }

  async function workers() {
    const code = "const { PythonHandler } = require(" + JSON.stringify(library) + ");" +
      "const handler = new PythonHandler({ docroot: " + JSON.stringify(docroot) + ", target: 'slow:app' });" +
      "handler.handleRequest({ url: '/?seconds=5' }).catch(() => {});" +
      "handler.ready().then(() => require('node:worker_threads').parentPort.postMessage('ready'));";
    const running = Array.from({ length: 4 }, () => new Worker(code, { eval: true }));
    await Promise.all(running.map((worker) => once(worker, 'message')));
    const during = liveCounts().environments;
    await Promise.all(running.map((worker) => worker.terminate()));
    return during;
  }

  async function settled(read, wanted) {
    for (let i = 0; i < 200 && read() !== wanted; i += 1) { global.gc(); await later(20); }
    return read();
  }

  (async () => {
    await load(); // what is made once for the process is made here
    await settled(() => liveCounts().exchanges, 0);
    const before = liveCounts();
    await load();
    await load();
    await settled(() => liveCounts().references, before.references);
    const after = liveCounts();
    const during = await workers();
    await settled(() => liveCounts().environments, 1);
    const { environments } = liveCounts();
    console.log(JSON.stringify({ before, after, during, environments }));
  })();
`;

test('no exchange, reference, block or environment outlives its use', async () => {
  expect(fs.existsSync(counting)).toBe(true);
  const child = new Child(['--expose-gc', '-e', SCRIPT], { env: { ...process.env, NODE_ASGI_BINARY: counting } });
  expect(await child.ended(60_000)).toEqual({ code: 0, signal: null });
  const { before, after, during, environments } = JSON.parse(child.stdout.trim().split('\n').at(-1));
  expect(before).toMatchObject({ exchanges: 0, blocks: 0, environments: 1 });
  expect(before.references).toBeGreaterThan(0);
  expect(after).toEqual(before);
  expect(during).toBe(5);
  expect(environments).toBe(1);
});
