'use strict';

/** 64 MiB as a stream, in chunks of 64 KiB. argv: how often. Prints JSON {bytes (per second)}. */

const path = require('node:path');

const { PythonHandler } = require('../../..');

const SIZE = 64 << 20;

(async () => {
  const handler = new PythonHandler({ docroot: path.join(__dirname, '..'), target: 'site_app:app' });
  const run = async (count) => {
    for (let i = 0; i < count; i += 1) {
      const stream = await handler.handleStream({ url: '/stream' });
      let bytes = 0;
      stream.on('data', (chunk) => { bytes += chunk.length; });
      await new Promise((resolve, reject) => { stream.once('end', resolve).once('error', reject); });
      if (bytes !== SIZE) throw new Error(`expected ${SIZE} bytes, got ${bytes}`);
    }
  };
  const times = Number(process.argv[2]);
  await run(2);
  const began = performance.now();
  await run(times);
  console.log(JSON.stringify({ bytes: SIZE * times / (performance.now() - began) * 1000 }));
  await handler.close();
})();
