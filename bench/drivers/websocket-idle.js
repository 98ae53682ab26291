'use strict';

/**
 * What WebSockets cost that are open and do nothing. argv: sockets, milliseconds. The clients are a process of their own
 * that answers pings. Prints JSON {cpuPercent, bytesPerSocket} of the server, its Python included.
 */

const { spawn } = require('node:child_process');
const http = require('node:http');

const { PythonHandler } = require('../..');

const [count, duration] = process.argv.slice(2).map(Number);

const CLIENTS = `
  const { WebSocket } = require(${JSON.stringify(require.resolve('ws'))});
  let open = 0;
  const more = () => {
    const socket = new WebSocket('ws://127.0.0.1:' + process.argv[1]);
    socket.on('open', () => { open += 1; if (open === ${count}) console.log('open'); else if (open + 50 <= ${count}) more(); });
  };
  for (let i = 0; i < Math.min(50, ${count}); i++) more();
`;

async function main() {
  const handler = new PythonHandler({ docroot: __dirname, target: 'echo:app', lifespan: 'off' });
  await handler.ready();
  const server = http.createServer(handler.listener());
  handler.attach(server);
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', 4096, resolve); });
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  const clients = spawn(process.execPath, ['-e', CLIENTS, String(server.address().port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => { clients.stdout.once('data', resolve); });
  await new Promise((resolve) => { setTimeout(resolve, 1000); });
  const bytes = process.memoryUsage().rss - before;
  const cpu = process.cpuUsage();
  const began = process.hrtime.bigint();
  await new Promise((resolve) => { setTimeout(resolve, duration); });
  const { user, system } = process.cpuUsage(cpu);
  const microseconds = Number(process.hrtime.bigint() - began) / 1000;
  clients.kill();
  console.log(JSON.stringify({ cpuPercent: ((user + system) / microseconds) * 100, bytesPerSocket: bytes / count }));
  process.exit(0);
}

main();
