'use strict';

/**
 * Sends text messages of 32 bytes on WebSockets, `depth` under way on each, for a while. Frames are made once and echoes
 * counted by their bytes, so that this process is not what is measured. argv: port, milliseconds, connections, depth.
 * Prints JSON {rate} in messages per second.
 */

const net = require('node:net');

const [port, duration, connections, depth] = process.argv.slice(2).map(Number);

const payload = Buffer.alloc(32, 'x');
const mask = Buffer.from([1, 2, 3, 4]);
const frame = Buffer.concat([Buffer.from([0x81, 0x80 | payload.length]), mask, payload.map((byte, i) => byte ^ mask[i & 3])]);
const batch = Buffer.concat(Array.from({ length: depth }, () => frame));
const ECHO_BYTES = 2 + payload.length;
const handshake = 'GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n' +
  'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

let bytes = 0;
let running = true;

for (let i = 0; i < connections; i++) {
  const socket = net.connect(port, '127.0.0.1', () => socket.write(handshake));
  socket.setNoDelay(true);
  let open = false;
  let missing = 0;
  socket.on('data', (data) => {
    let size = data.length;
    if (!open) {
      const end = data.indexOf('\r\n\r\n');
      if (end < 0) return;
      open = true;
      size -= end + 4;
      missing = depth * ECHO_BYTES;
      socket.write(batch);
    }
    bytes += size;
    missing -= size;
    if (missing > 0 || !running) return;
    missing += depth * ECHO_BYTES;
    socket.write(batch);
  });
  socket.on('error', (error) => {
    console.error(error.message);
    process.exit(1);
  });
}

// A quarter of the time warms the server up.
setTimeout(() => {
  const first = bytes;
  const began = process.hrtime.bigint();
  setTimeout(() => {
    running = false;
    const seconds = Number(process.hrtime.bigint() - began) / 1e9;
    console.log(JSON.stringify({ rate: (bytes - first) / ECHO_BYTES / seconds }));
    process.exit(0);
  }, duration * 0.75);
}, duration * 0.25);
