'use strict';

/** node:http answering as bench/drivers/site_app.py does, by itself. Prints its port. */

const http = require('node:http');
const { Readable } = require('node:stream');

const json = `{"items": [${Array.from({ length: 30 }, (_, i) => `{"id": ${i}, "name": "item ${i}"}`).join(', ')}]}`;
const many = ['content-type', 'text/plain', 'content-length', '2',
  ...Array.from({ length: 8 }, (_, i) => [`x-field-${i}`, `value of field ${i}`]).flat()];
const megabyte = Buffer.alloc(1 << 20);
const chunk = Buffer.alloc(1 << 16);

function* chunks() {
  for (let i = 0; i < 1024; i += 1) yield chunk;
}

const routes = {
  '/': (req, res) => res.writeHead(200, ['content-type', 'text/plain', 'content-length', '13']).end('Hello, world!'),
  '/json': (req, res) => res.writeHead(200, ['content-type', 'application/json', 'content-length', String(json.length)]).end(json),
  '/headers': (req, res) => res.writeHead(200, many).end('ok'),
  '/megabyte': (req, res) => res.writeHead(200, ['content-length', '1048576']).end(megabyte),
  '/echo': (req, res) => req.pipe(res.writeHead(200, ['content-length', req.headers['content-length']])),
  '/stream': (req, res) => Readable.from(chunks()).pipe(res.writeHead(200, ['content-length', '67108864'])),
  '/events': (req, res) => {
    res.writeHead(200, ['content-type', 'text/event-stream']);
    const timer = setInterval(() => res.write('data: tick\n\n'), 100);
    res.on('close', () => clearInterval(timer));
  },
};
const server = http.createServer((req, res) => routes[req.url](req, res));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
