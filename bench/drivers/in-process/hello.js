'use strict';

/**
 * handleRequest() in process. argv: requests, in flight at a time, microseconds to spin, `signal` to give each an
 * AbortSignal. Prints JSON {cpu, roundTrip (microseconds), rate}.
 */

const path = require('node:path');

const { PythonHandler } = require('../../..');

const requests = Number(process.argv[2]);
const inFlight = Number(process.argv[3]);
const request = { method: 'GET', url: '/', headers: { host: 'bench', accept: '*/*' } };

const withSignal = process.argv[5] === 'signal';

async function run(handler, count) {
  let left = count;
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (left-- > 0) await handler.handleRequest(request, withSignal ? { signal: new AbortController().signal } : undefined);
  }));
}

(async () => {
  const spin = Number(process.argv[4] ?? 0);
  const handler = new PythonHandler({ docroot: path.join(__dirname, '..'), target: 'hello:app', spin });
  await handler.ready();
  await run(handler, 20_000);
  const cpu = process.cpuUsage();
  const began = process.hrtime.bigint();
  await run(handler, requests);
  const micros = Number(process.hrtime.bigint() - began) / 1000;
  const used = process.cpuUsage(cpu);
  console.log(JSON.stringify({
    cpu: (used.user + used.system) / requests, rate: requests / micros * 1e6, roundTrip: micros / requests,
  }));
  await handler.close();
})();
