'use strict';

/**
 * CPU of one request, by what it has. argv: requests, in flight, header fields, bytes of the response, idle asyncio tasks.
 * Prints JSON {cpu} in microseconds.
 */

const path = require('node:path');

const { PythonHandler } = require('../../..');

const [requests, inFlight, fields, bytes, tasks] = process.argv.slice(2).map(Number);
const headers = Object.fromEntries(Array.from({ length: fields }, (_, i) => [`x-field-${i}`, `the value of field ${i}`]));

(async () => {
  const handler = new PythonHandler({ docroot: path.join(__dirname, '..'), target: 'slopes:app' });
  await handler.handleRequest({ url: `/tasks?${tasks}` });
  const run = async (count) => {
    let left = count;
    await Promise.all(Array.from({ length: inFlight }, async () => {
      while (left-- > 0) await handler.handleRequest({ url: `/?${bytes}`, headers });
    }));
  };
  await run(Math.min(requests, 10_000));
  const before = process.cpuUsage();
  await run(requests);
  const { user, system } = process.cpuUsage(before);
  console.log(JSON.stringify({ cpu: (user + system) / requests }));
  await handler.close();
})();
