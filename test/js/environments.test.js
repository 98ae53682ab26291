'use strict';

/** Workers, clusters and forks: in processes of their own, all in one process at once. */

const path = require('node:path');

const { Child } = require('../helpers/child');

const ROOT = path.resolve(__dirname, '../..');
const CORE = path.join(ROOT, 'fixtures/core');
const start = `
  const { PythonHandler } = require(${JSON.stringify(ROOT)});
  const open = (target, options) => new PythonHandler({ docroot: ${JSON.stringify(CORE)}, target: target + ':app', shutdownTimeout: 1000, ...options });
`;

async function run(script, timeout = 25_000) {
  const child = new Child(['-e', `${start}\n(async () => { ${script} })();`]);
  const ended = await child.ended(timeout);
  return { ...ended, stdout: child.stdout, stderr: child.stderr };
}

test('100 workers that are terminated in the middle of their requests leave nothing behind', async () => {
  const ended = await run(`
    const { Worker } = require('node:worker_threads');
    const main = open('slow');
    await main.ready();
    const source = \`
      const { parentPort } = require('node:worker_threads');
      ${start.replace(/`/g, '\\`').replace(/\n/g, '\\n')}
      const handler = open('slow');
      for (let i = 0; i < 5; i++) handler.handleRequest({ url: '/?seconds=30' }).catch(() => {});
      handler.handleRequest({ url: '/?seconds=0' }).then(() => parentPort.postMessage('under way'));
    \`;
    for (let round = 0; round < 100; round++) {
      const worker = new Worker(source, { eval: true });
      await new Promise((resolve, reject) => { worker.on('message', resolve); worker.on('error', reject); });
      await worker.terminate();
    }
    console.log((await main.handleRequest({ url: '/?seconds=0' })).text());
    while (main.stats().inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  `, 28_000);
  expect(ended).toEqual({ code: 0, signal: null, stdout: 'slept\n', stderr: '' });
}, 30_000);

test('handlers in workers and in the main thread at once, of the same app and of others', async () => {
  const ended = await run(`
    const { Worker } = require('node:worker_threads');
    const source = \`
      const { parentPort, workerData } = require('node:worker_threads');
      ${start.replace(/`/g, '\\`').replace(/\n/g, '\\n')}
      const handler = open(workerData);
      (async () => {
        let total = 0;
        for (let i = 0; i < 200; i++) total += (await handler.handleRequest({ url: '/200' })).status;
        await handler.close();
        parentPort.postMessage(total);
      })();
    \`;
    const main = open('hello');
    const workers = ['hello', 'hello', 'status', 'status'].map((app) => new Worker(source, { eval: true, workerData: app }));
    const totals = Promise.all(workers.map((worker) => new Promise((resolve, reject) => { worker.on('message', resolve); worker.on('error', reject); })));
    let own = 0;
    for (let i = 0; i < 200; i++) own += (await main.handleRequest({ url: '/' })).status;
    console.log(own, ...await totals);
  `);
  expect(ended).toEqual({ code: 0, signal: null, stdout: '40000 40000 40000 40000 40000\n', stderr: '' });
});

test('node:cluster: every worker serves, and one that is killed takes no other with it', async () => {
  const child = new Child([path.join(ROOT, 'test/helpers/cluster-program.js')]);
  const ended = await child.ended(20_000);
  expect({ ...ended, stdout: child.stdout, stderr: child.stderr }).toEqual({ code: 0, signal: null, stdout: 'true true\n', stderr: '' });
});

test('child_process.fork() of a program that hosts Python, from one that does', async () => {
  const ended = await run(`
    const { fork } = require('node:child_process');
    const fs = require('node:fs');
    const main = open('hello');
    await main.ready();
    const file = require('node:path').join(require('node:os').tmpdir(), 'node-asgi-fork-' + process.pid + '.js');
    fs.writeFileSync(file, ${JSON.stringify(start)} + "open('hello').handleRequest({ url: '/' }).then((r) => process.send(r.status));");
    const child = fork(file, { execArgv: [] });
    child.on('message', (status) => { console.log('child', status); });
    child.on('exit', async (code) => {
      fs.unlinkSync(file);
      console.log('exit', code, (await main.handleRequest({ url: '/' })).status);
    });
  `);
  expect(ended).toEqual({ code: 0, signal: null, stdout: 'child 200\nexit 0 200\n', stderr: '' });
});

test('handlers that are made at once, in folders whose Pythons differ, share the first one that starts', async () => {
  const child = new Child(['-e', `${start}
    const elsewhere = require('node:fs').mkdtempSync(require('node:path').join(require('node:os').tmpdir(), 'elsewhere-'));
    require('node:fs').writeFileSync(elsewhere + '/elsewhere.py', 'from typing import Any\\nasync def app(scope, receive, send):\\n    await send({"type": "http.response.start", "status": 204})\\n    await send({"type": "http.response.body"})\\n');
    const handlers = [open('hello'), new PythonHandler({ docroot: elsewhere, target: 'elsewhere:app', lifespan: 'off' })];
    Promise.all(handlers.map((handler) => handler.handleRequest({ url: '/' }))).then((answers) => {
      console.log(...answers.map((answer) => answer.status));
      require('node:fs').rmSync(elsewhere, { recursive: true });
    });
  `], { env: { ...process.env, NODE_ASGI_PYTHON: undefined, VIRTUAL_ENV: undefined } });
  expect(await child.ended(20_000)).toEqual({ code: 0, signal: null });
  expect({ stdout: child.stdout, stderr: child.stderr }).toEqual({ stdout: '200 204\n', stderr: '' });
});

test('await using closes at the end of its block', async () => {
  const ended = await run(`
    const handler = open('lifespan_state');
    await handler.ready();
    await handler[Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]();
    console.log('closed');
  `);
  expect(ended).toEqual({ code: 0, signal: null, stdout: 'lifespan: startup\nlifespan: shutdown\nclosed\n', stderr: '' });
});
