'use strict';

/**
 * Asks for the same paths again and again on keep-alive connections.
 * argv: port, paths separated by commas, connections, milliseconds, bytes of a request body (0: GET).
 * Prints JSON {rate (answers per second), bytes (per second), p50, p99, max (milliseconds)}.
 */

const net = require('node:net');

const [port, paths, connections, duration, bodyBytes] = process.argv.slice(2).map((word, i) => (i === 1 ? word.split(',') : Number(word)));

const requests = paths.map((path) => {
  const body = Buffer.alloc(bodyBytes);
  const head = bodyBytes > 0 ? `POST ${path} HTTP/1.1\r\ncontent-length: ${bodyBytes}\r\n` : `GET ${path} HTTP/1.1\r\n`;
  return Buffer.concat([Buffer.from(`${head}host: 127.0.0.1\r\naccept: */*\r\nuser-agent: bench\r\n\r\n`), body]);
});
const EMPTY = Buffer.alloc(0);
const TWO = '2'.charCodeAt(0);
/** Of the last answer to each request, head and body. @type {number[]} */
const lengths = [];

let measuring = false;
let running = true;
let answered = 0;
let received = 0;
const times = [];

function fail(message) {
  console.error(message);
  process.exit(1);
}

/** The length of an answer, or 0 when its head is not there yet. */
function lengthOf(data) {
  const end = data.indexOf('\r\n\r\n');
  if (end < 0) return 0;
  const head = data.latin1Slice(0, end);
  if (!head.startsWith('HTTP/1.1 200 ')) fail(`expected 200, got ${head.split('\r\n')[0]}`);
  return end + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? fail(`expected content-length in ${head}`));
}

for (let i = 0; i < connections; i += 1) {
  let which = i % paths.length;
  let left = 0;
  let first = EMPTY;
  let sent = 0;
  let socket;
  const ask = () => {
    which = (which + 1) % paths.length;
    sent = performance.now();
    socket.write(requests[which]);
  };
  const onData = (data) => {
    received += measuring ? data.length : 0;
    // The driver must cost little: a whole answer of the length that the last one had is not read again. A server may
    // leave out a field now and then (keep-alive, date); then it is.
    if (left === 0 && first.length === 0 && data.length === lengths[which] && data[9] === TWO) {
      // as the one before
    } else if (left === 0) {
      first = first.length === 0 ? data : Buffer.concat([first, data]);
      const length = lengthOf(first);
      if (length === 0) return;
      left = length - first.length;
      lengths[which] = length;
      first = EMPTY;
    } else {
      left -= data.length;
    }
    if (left > 0) return;
    if (left < 0) fail('the answer is longer than its content-length');
    if (measuring) {
      answered += 1;
      times.push(performance.now() - sent);
    }
    if (running) ask();
  };
  const connect = () => {
    socket = net.connect(port, '127.0.0.1', ask);
    socket.setNoDelay(true);
    socket.on('data', onData);
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => {
      if (left > 0) fail('the server closed the connection in the middle of an answer');
      connect(); // hypercorn does so after 1,000 requests
    });
  };
  connect();
}

// A quarter of the time warms the server up.
setTimeout(() => {
  measuring = true;
  const began = performance.now();
  setTimeout(() => {
    running = false;
    const seconds = (performance.now() - began) / 1000;
    times.sort((a, b) => a - b);
    const at = (part) => times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? null;
    console.log(JSON.stringify({ rate: answered / seconds, bytes: received / seconds, p50: at(0.5), p99: at(0.99), max: at(1) }));
    process.exit(0);
  }, duration * 0.75);
}, duration * 0.25);
