'use strict';

/** handleRequestSync() in a script. argv: requests. Prints JSON {roundTrip} in microseconds. */

const path = require('node:path');

const { PythonHandler } = require('../../..');

const handler = new PythonHandler({ docroot: path.join(__dirname, '..'), target: 'hello:app' });
const requests = Number(process.argv[2]);
for (let i = 0; i < 1000; i += 1) handler.handleRequestSync({ url: '/' });
const began = performance.now();
for (let i = 0; i < requests; i += 1) handler.handleRequestSync({ url: '/' });
console.log(JSON.stringify({ roundTrip: (performance.now() - began) * 1000 / requests }));
handler.close();
