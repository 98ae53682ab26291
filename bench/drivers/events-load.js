'use strict';

/** Opens connections to /events and counts what comes. argv: port, connections, milliseconds. Prints JSON {rate} of events. */

const net = require('node:net');

const [port, connections, duration] = process.argv.slice(2).map(Number);
let events = 0;
let answering = 0;
for (let i = 0; i < connections; i += 1) {
  const socket = net.connect(port, '127.0.0.1', () => socket.write('GET /events HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n'));
  let known = false;
  socket.on('data', (data) => {
    if (!known) answering += 1;
    known = true;
    for (let at = data.indexOf('data: '); at >= 0; at = data.indexOf('data: ', at + 6)) events += 1;
  });
  socket.on('error', (error) => {
    console.error(error.message);
    process.exit(1);
  });
}
const waiting = setInterval(() => {
  if (answering < connections) return;
  clearInterval(waiting);
  const before = events;
  const began = performance.now();
  setTimeout(() => {
    console.log(JSON.stringify({ rate: (events - before) / (performance.now() - began) * 1000 }));
    process.exit(0);
  }, duration);
}, 10);
