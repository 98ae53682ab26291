'use strict';

/** The Python app behind node:http, in one process. Prints its port. */

const http = require('node:http');

const { PythonHandler } = require('../..');

const handler = new PythonHandler({ docroot: __dirname, target: 'hello:app' });
handler.ready().then(() => {
  const server = http.createServer(handler.listener());
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
});
