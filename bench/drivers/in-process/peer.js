'use strict';

/**
 * handleRequest() of @platformatic/python-node. argv: requests, in flight, the folder that it is installed in.
 * Prints JSON {cpu (microseconds a request), rate}.
 */

const path = require('node:path');

const [requests, inFlight] = process.argv.slice(2).map(Number);
const { Python, Request } = require(require.resolve('@platformatic/python-node', { paths: [process.argv[4]] }));

(async () => {
  const python = new Python({ docroot: path.join(__dirname, '..'), appTarget: 'hello:app' });
  const run = async (count) => {
    let left = count;
    await Promise.all(Array.from({ length: inFlight }, async () => {
      while (left-- > 0) await python.handleRequest(new Request({ method: 'GET', url: 'http://localhost/' }));
    }));
  };
  await run(200);
  const before = process.cpuUsage();
  const began = performance.now();
  await run(requests);
  const { user, system } = process.cpuUsage(before);
  console.log(JSON.stringify({ cpu: (user + system) / requests, rate: requests / (performance.now() - began) * 1000 }));
  process.exit(0);
})();
