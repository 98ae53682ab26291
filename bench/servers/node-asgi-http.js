'use strict';

/** The Python app behind node:http, in one process. Prints its port. */

const http = require('node:http');
const path = require('node:path');

const { PythonHandler } = require('../..');

const handler = new PythonHandler({ docroot: path.join(__dirname, '../drivers'), target: 'site_app:app' });
handler.ready().then(() => {
  const server = http.createServer(handler.listener());
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
});
