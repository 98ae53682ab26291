'use strict';

/**
 * Opens connections to /events and counts what comes. argv: port, connections, milliseconds. Prints JSON {rate} of events:
 * 0 when not all are answered within ten seconds.
 */

const net = require('node:net');

const PATIENCE = 10_000;
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
function tell(rate) {
  console.log(JSON.stringify({ rate }));
  process.exit(0);
}

const patience = setTimeout(() => tell(0), PATIENCE);
const waiting = setInterval(() => {
  if (answering < connections) return;
  clearInterval(waiting);
  clearTimeout(patience);
  const before = events;
  const began = performance.now();
  setTimeout(() => tell((events - before) / (performance.now() - began) * 1000), duration);
}, 10);
