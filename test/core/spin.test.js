'use strict';

/** The option `spin`: both threads look for work for a while before they sleep. Everything else stays as it is. */

const path = require('node:path');
const { Worker } = require('node:worker_threads');

const { CORE, coreApps, eventually, later } = require('../helpers/core-apps');

const { open, serve } = coreApps();

test('an app answers as without it, alone and with others in flight', async () => {
  const { handler } = open('hello', { spin: 200 });
  await handler.ready();
  for (let round = 0; round < 50; round += 1) expect((await handler.handleRequest({ url: '/' })).text()).toBe('Hello, world!');
  const many = await Promise.all(Array.from({ length: 500 }, () => handler.handleRequest({ url: '/' })));
  expect(many.every((response) => response.status === 200)).toBe(true);
});

test('requests that follow each other need fewer wake-ups', async () => {
  const ROUNDS = 400;
  const wakeups = async (handler) => {
    const before = handler.stats().wakeups;
    for (let round = 0; round < ROUNDS; round += 1) await handler.handleRequest({ url: '/' });
    const after = handler.stats().wakeups;
    return after.python - before.python + after.node - before.node;
  };
  const { handler } = open('hello', { spin: 1000 });
  await handler.ready();
  // Without it two for each request. A busy machine stops a thread that looks: one attempt of several shows it.
  const attempts = [];
  while (attempts.length < 10 && !(attempts.at(-1) < ROUNDS)) attempts.push(await wakeups(handler));
  expect(Math.min(...attempts)).toBeLessThan(2 * ROUNDS * 0.9);
});

test('timers, sockets and other Python tasks go on while requests are in flight', async () => {
  const { handler, port } = await serve('slow', { spin: 1000 });
  const slow = handler.handleRequest({ url: '/?seconds=0.3' });
  let ticks = 0;
  const timer = setInterval(() => { ticks += 1; }, 5);
  const { fetchRaw } = require('../helpers/raw-http');
  expect((await fetchRaw(port, { target: '/?seconds=0' })).status).toBe(200);
  await slow;
  clearInterval(timer);
  expect(ticks).toBeGreaterThan(10);
});

test('a process that waits for nothing does not look for work either', async () => {
  const { handler } = open('hello', { spin: 1000 });
  await handler.handleRequest({ url: '/' });
  await later(50);
  const before = process.cpuUsage();
  await later(500);
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1000).toBeLessThan(250); // milliseconds; looking all the time would be 1000 on two threads
});

test('a worker that is terminated in the middle leaves nothing behind', async () => {
  const program = `
    const { PythonHandler } = require(${JSON.stringify(path.resolve(__dirname, '../..'))});
    const { parentPort } = require('node:worker_threads');
    const handler = new PythonHandler({ docroot: ${JSON.stringify(CORE)}, target: 'hello:app', spin: 500 });
    (async () => { for (;;) { await handler.handleRequest({ url: '/' }); parentPort.postMessage(1); } })();`;
  for (let round = 0; round < 3; round += 1) {
    const worker = new Worker(program, { eval: true });
    await new Promise((resolve, reject) => { worker.once('message', resolve).once('error', reject); });
    await worker.terminate();
  }
  const { handler } = open('hello');
  await eventually(async () => (await handler.handleRequest({ url: '/' })).status === 200);
});

test.each([[-1], [1001], [0.5], ['50']])('%p microseconds are an error that says what was expected', (spin) => {
  expect(() => open('hello', { spin })).toThrow(/option spin: expected microseconds from 0 to 1000, got/);
});
