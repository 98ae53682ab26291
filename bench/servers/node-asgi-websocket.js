'use strict';

/** The echo app behind node:http. Prints its port. */

const http = require('node:http');

const { PythonHandler } = require('../..');

const handler = new PythonHandler({ docroot: require('node:path').join(__dirname, '../drivers'), target: 'echo:app', lifespan: 'off' });
handler.ready().then(() => {
  const server = http.createServer(handler.listener());
  handler.attach(server);
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
});
