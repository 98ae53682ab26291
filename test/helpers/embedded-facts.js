'use strict';

/** Prints what fixtures/selection/facts.py finds inside Node, and pythonInfo(). argv: the option python, or nothing. */

const path = require('node:path');

const { PythonHandler } = require('../..');

const handler = new PythonHandler({
  docroot: path.resolve(__dirname, '../../fixtures/selection'), target: 'node_asgi.calls:app', lifespan: 'off',
  python: process.argv[2],
});
handler.ready().then(async (info) => {
  const facts = await handler.call('facts:facts');
  const packed = await handler.call('facts:compressed', 'packed inside Node');
  console.log(JSON.stringify({ info, facts, packed: packed.toString('hex') }));
  await handler.close();
}).catch((error) => {
  console.log(JSON.stringify({ error: { code: error.code, message: error.message } }));
  return handler.close();
});
