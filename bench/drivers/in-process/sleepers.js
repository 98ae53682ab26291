'use strict';

/**
 * What waiting costs: 1,000 requests that sleep for a second while files are read, then 100 that wait for `wait` ms.
 * argv: wait. Prints JSON {seconds, slowestRead (milliseconds), pendingCpu (per cent of a core)}.
 */

const fs = require('node:fs/promises');
const path = require('node:path');

const { PythonHandler } = require('../../..');

(async () => {
  const wait = Number(process.argv[2]);
  const handler = new PythonHandler({ docroot: path.join(__dirname, '..'), target: 'site_app:app' });
  await handler.handleRequest({ url: '/' });
  let slowestRead = 0;
  let reading = true;
  const reads = (async () => {
    while (reading) {
      const began = performance.now();
      await fs.readFile(__filename);
      slowestRead = Math.max(slowestRead, performance.now() - began);
      await new Promise((resolve) => { setTimeout(resolve, 5); });
    }
  })();
  const began = performance.now();
  await Promise.all(Array.from({ length: 1000 }, () => handler.handleRequest({ url: '/sleep' })));
  const seconds = (performance.now() - began) / 1000;
  reading = false;
  await reads;

  const streams = await Promise.all(Array.from({ length: 100 }, () => handler.handleStream({ url: '/pending' })));
  const before = process.cpuUsage();
  await new Promise((resolve) => { setTimeout(resolve, wait); });
  const { user, system } = process.cpuUsage(before);
  for (const stream of streams) stream.destroy();
  console.log(JSON.stringify({ seconds, slowestRead, pendingCpu: (user + system) / 1000 / wait * 100 }));
  await handler.close();
})();
