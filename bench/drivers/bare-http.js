'use strict';

/** node:http answering the same bytes by itself. Prints its port. */

const http = require('node:http');

const headers = ['content-type', 'text/plain', 'content-length', '13'];
const server = http.createServer((req, res) => {
  res.writeHead(200, headers);
  res.end('Hello, world!');
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
