'use strict';

/** handleRequest() in process: CPU per request with `inFlight` at a time. Prints JSON {cpu, rate, roundTrip}. */

const { PythonHandler } = require('../..');

const requests = Number(process.argv[2]);
const inFlight = Number(process.argv[3]);
const request = { method: 'GET', url: '/', headers: { host: 'bench', accept: '*/*' } };

async function run(handler, count) {
  let left = count;
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (left-- > 0) await handler.handleRequest(request);
  }));
}

(async () => {
  const spin = Number(process.argv[4] ?? 0);
  const handler = new PythonHandler({ docroot: __dirname, target: 'hello:app', spin });
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
