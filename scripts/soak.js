'use strict';

/**
 * Mixed traffic for a while, and what it leaves behind: requests, uploads, streams whose clients hang up, exceptions,
 * WebSockets, calls, aborts, reloads and workers that are terminated. Uses the build that counts live objects.
 *
 *   node scripts/soak.js [seconds, default 600]
 *
 * Fails when anything is left: exchanges, references, blocks, environments, tasks or handles; and when memory has grown.
 */

const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { Worker } = require('node:worker_threads');

const root = path.resolve(__dirname, '..');
process.env.NODE_ASGI_BINARY ??= path.join(root, 'build', 'cmake', 'dev', 'node_asgi.node');

const { WebSocket } = require('ws');

const { PythonHandler } = require('..');
const { liveCounts } = require(process.env.NODE_ASGI_BINARY);

const seconds = Number(process.argv[2] ?? 600);
const docroot = path.join(root, 'fixtures', 'core');
/** What may be added to the memory of the second quarter, in bytes: allocators keep what they had at their peak. */
const GROWTH = 24 * 1024 * 1024;

const later = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const counts = {};
const count = (what) => { counts[what] = (counts[what] ?? 0) + 1; };
let over = false;

/** Does something again and again until time is up, `width` times at once. */
function keepDoing(name, width, action, pause = 0) {
  return Promise.all(Array.from({ length: width }, async () => {
    while (!over) {
      await action();
      count(name);
      await later(pause);
    }
  }));
}

function ask(port, agent, { method = 'GET', target = '/', body = undefined } = {}) {
  return new Promise((resolve) => {
    const req = http.request({ port, host: '127.0.0.1', agent, method, path: target }, (res) => {
      res.resume();
      res.on('end', resolve);
      res.on('error', resolve);
      res.on('close', resolve);
    });
    req.on('error', resolve);
    req.end(body);
  });
}

/** A client that leaves once the answer has begun. */
function hangUp(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write('GET /stream HTTP/1.1\r\nhost: x\r\n\r\n'));
    socket.once('data', () => socket.destroy());
    socket.on('error', () => {});
    socket.once('close', resolve);
  });
}

/** A WebSocket that talks and is closed, or dropped. */
function talk(port) {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    let messages = 0;
    socket.on('open', () => socket.send('hello'));
    socket.on('message', (data, binary) => {
      messages += 1;
      if (messages < 5) socket.send(binary ? data.toString() : Buffer.alloc(1000));
      else if (Math.random() < 0.5) socket.close();
      else socket.terminate();
    });
    socket.on('error', () => {});
    socket.on('close', resolve);
  });
}

function terminateWorker() {
  const source = `
    const { PythonHandler } = require(${JSON.stringify(root)});
    const handler = new PythonHandler({ docroot: ${JSON.stringify(docroot)}, target: 'soaked:app' });
    handler.on('error', () => {});
    for (let i = 0; i < 5; i++) handler.handleRequest({ url: '/waits' }).catch(() => {});
    handler.handleRequest({ url: '/' }).then(() => require('node:worker_threads').parentPort.postMessage('ready'));
  `;
  return new Promise((resolve, reject) => {
    const worker = new Worker(source, { eval: true });
    worker.on('message', () => worker.terminate().then(resolve));
    worker.on('error', reject);
  });
}

const memory = [];
const median = (values) => values.slice().sort((a, b) => a - b)[values.length >> 1];

async function main() {
  const project = fs.mkdtempSync(path.join(os.tmpdir(), 'soak-'));
  fs.copyFileSync(path.join(docroot, 'soaked.py'), path.join(project, 'reloaded.py'));
  const handler = new PythonHandler({ docroot, target: 'soaked:app' });
  const other = new PythonHandler({ docroot: project, target: 'reloaded:app' });
  for (const each of [handler, other]) {
    each.on('error', (error) => { if (!/as planned/.test(error.message)) throw error; });
    each.on('warning', () => {});
  }
  await Promise.all([handler.ready(), other.ready()]);
  const server = http.createServer(handler.listener());
  handler.attach(server);
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
  const tasks = async () => (await handler.handleRequest({ url: '/tasks' })).json();

  /** What is there when nothing is under way any more, the apps of terminated workers included. */
  const settled = async () => {
    const quiet = async () => {
      for (let tries = 0; tries < 400 && (handler.stats().inFlight > 0 || liveCounts().exchanges > 0); tries += 1) await later(25);
    };
    await quiet();
    const found = await tasks();
    await quiet(); // an answer is there a little before its exchange has ended
    return { tasks: found, ...liveCounts() };
  };

  await terminateWorker(); // what is made once
  const before = await settled();
  const upload = Buffer.alloc(200_000, 'u');
  const sampler = setInterval(() => memory.push(process.memoryUsage().rss), 250);
  setTimeout(() => { over = true; }, seconds * 1000);
  await Promise.all([
    keepDoing('requests', 8, () => ask(port, agent)),
    keepDoing('uploads', 2, () => ask(port, agent, { method: 'POST', target: '/echo', body: upload })),
    keepDoing('streams', 2, () => ask(port, agent, { target: '/stream' })),
    keepDoing('hang-ups', 2, () => hangUp(port), 1),
    keepDoing('exceptions', 2, () => ask(port, agent, { target: '/fails' }), 1),
    keepDoing('broken answers', 1, () => ask(port, agent, { target: '/breaks' }), 1),
    keepDoing('WebSockets', 2, () => talk(port), 1),
    keepDoing('in process', 4, () => handler.handleRequest({ url: '/' })),
    keepDoing('aborted', 2, () => handler.handleRequest({ url: '/waits' }, { signal: AbortSignal.timeout(5) }).catch(() => {})),
    keepDoing('calls', 2, () => handler.call('functions:same', { a: [1, 2, 3] })),
    keepDoing('reloads', 1, () => other.reload(), 200),
    keepDoing('beside reloads', 2, () => other.handleRequest({ url: '/' })),
    keepDoing('workers', 1, terminateWorker, 500),
  ]);
  clearInterval(sampler);

  const problems = [];
  agent.destroy();
  const after = await settled();
  for (const what of ['tasks', 'exchanges', 'blocks', 'environments']) {
    if (after[what] !== before[what]) problems.push(`${what}: ${before[what]} before, ${after[what]} after`);
  }
  // Freelists and caches are filled by then; what is leaked is leaked thousands of times.
  if (after.references > before.references + 200) problems.push(`references: ${before.references} before, ${after.references} after`);
  const quarter = memory.length >> 2;
  const early = median(memory.slice(quarter, 2 * quarter));
  const late = median(memory.slice(-quarter));
  if (late > early + GROWTH) problems.push(`memory: ${early} bytes in the second quarter, ${late} in the last`);

  const reports = await Promise.all([handler.close(), other.close()]);
  for (const report of reports) if (report.timedOut || report.lifespan !== 'complete') problems.push(JSON.stringify(report));
  server.close();
  server.closeAllConnections();
  fs.rmSync(project, { recursive: true, force: true });
  await later(100);
  const handles = process.getActiveResourcesInfo().filter((kind) => !/^(Pipe|TTY|FS)/.test(kind) && kind !== 'Timeout');
  if (handles.length > 0) problems.push(`handles: ${handles.join(' ')}`);
  if (liveCounts().exchanges !== 0) problems.push(`exchanges after close(): ${liveCounts().exchanges}`);

  console.log(Object.entries(counts).map(([what, number]) => `${what} ${number}`).join(', '));
  console.log(`memory ${(early / 1e6).toFixed(0)} MB in the second quarter, ${(late / 1e6).toFixed(0)} MB in the last; ` +
    `references ${before.references} before, ${after.references} after`);
  for (const problem of problems) console.error(`PROBLEM  ${problem}`);
  process.exitCode = problems.length > 0 ? 1 : 0;
}

if (!Number.isFinite(seconds) || seconds < 4) {
  console.error('expected a number of seconds, 4 or more');
  process.exitCode = 1;
} else {
  main();
}
