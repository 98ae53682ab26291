'use strict';

/** One request after another in the tracing build. argv: requests, microseconds to spin. Prints JSON {stage: microseconds}. */

const binding = require('../../lib/binding');
const { PythonHandler } = require('../..');

const requests = Number(process.argv[2]);
const request = { method: 'GET', url: '/', headers: { host: 'bench', accept: '*/*' } };

(async () => {
  const handler = new PythonHandler({ docroot: __dirname, target: 'hello:app', spin: Number(process.argv[3]) });
  await handler.ready();
  for (let i = 0; i < 5000; i += 1) await handler.handleRequest(request);
  binding.traceReport();
  for (let i = 0; i < requests; i += 1) await handler.handleRequest(request);
  console.log(JSON.stringify(binding.traceReport()));
  await handler.close();
})();
