'use strict';

/**
 * Sends the same request on 64 keep-alive connections for a while. argv: port, milliseconds.
 * Prints JSON {rate} in requests per second.
 */

const net = require('node:net');

const CONNECTIONS = 64;
const port = Number(process.argv[2]);
const duration = Number(process.argv[3]);
const request = Buffer.from('GET / HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: */*\r\n\r\n');
const END = Buffer.from('Hello, world!');

let answered = 0;
let running = true;

for (let i = 0; i < CONNECTIONS; i++) {
  const socket = net.connect(port, '127.0.0.1', () => socket.write(request));
  socket.setNoDelay(true);
  socket.on('data', (data) => {
    // An answer ends with its body; one request is under way on each connection.
    if (!data.subarray(-END.length - 7).includes(END)) return;
    answered++;
    if (running) socket.write(request);
  });
  socket.on('error', (error) => {
    console.error(error.message);
    process.exit(1);
  });
}

// A quarter of the time warms the server up.
setTimeout(() => {
  const first = answered;
  const began = process.hrtime.bigint();
  setTimeout(() => {
    running = false;
    const seconds = Number(process.hrtime.bigint() - began) / 1e9;
    console.log(JSON.stringify({ rate: (answered - first) / seconds }));
    process.exit(0);
  }, duration * 0.75);
}, duration * 0.25);
