'use strict';

/** 1 MiB up and down again, four at a time. argv: requests. Prints JSON {bytes (in and out, per second)}. */

const path = require('node:path');

const { PythonHandler } = require('../../..');

const SIZE = 1 << 20;

(async () => {
  const handler = new PythonHandler({ docroot: path.join(__dirname, '..'), target: 'site_app:app' });
  const request = { method: 'POST', url: '/echo', body: Buffer.alloc(SIZE, 'x') };
  const run = async (count) => {
    let left = count;
    await Promise.all(Array.from({ length: 4 }, async () => {
      while (left-- > 0) {
        const { body } = await handler.handleRequest(request);
        if (body.length !== SIZE) throw new Error(`expected ${SIZE} bytes, got ${body.length}`);
      }
    }));
  };
  const requests = Number(process.argv[2]);
  await run(20);
  const began = performance.now();
  await run(requests);
  console.log(JSON.stringify({ bytes: 2 * SIZE * requests / (performance.now() - began) * 1000 }));
  await handler.close();
})();
