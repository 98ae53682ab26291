'use strict';

/** WebSockets: echo against uvicorn with `websockets`, and what sockets cost that do nothing. */

const { LOAD_MS, freePort, node, python, report, server, short, skipped, start, startOn, stopAll, takeTurns } = require('./harness');

const CONNECTIONS = 32;
const IDLE = short ? 200 : 5000;

async function webSockets() {
  const servers = { 'node-asgi': await start(process.execPath, [server('node-asgi-websocket.js')]) };
  for (const ws of ['websockets', 'websockets-sansio']) {
    try {
      const port = await freePort();
      // Its log would fill the pipe that nobody reads while the load runs.
      servers[`uvicorn, ${ws}`] = await startOn(port, python, ['-m', 'uvicorn', 'echo:app', '--port', port, '--loop', 'uvloop',
        '--log-level', 'error', '--ws', ws, '--ws-per-message-deflate', 'false', '--lifespan', 'off']);
    } catch (error) {
      skipped.push(`uvicorn with ${ws}: ${error.message.trim()}`);
    }
  }
  for (const [depth, what] of [[1, 'Echo round trips'], [32, 'Echoed messages, 32 under way on each']]) {
    const figures = takeTurns(Object.fromEntries(Object.entries(servers).map(([name, { port }]) =>
      [name, () => node('websocket-load.js', port, LOAD_MS, CONNECTIONS, depth)])));
    const rows = Object.fromEntries(Object.entries(figures).map(([name, { rate }]) => [name, { value: rate }]));
    const { 'node-asgi': ours, ...others } = figures;
    const best = Math.max(...Object.values(others).map(({ rate }) => rate));
    report(`${what}, ${CONNECTIONS} WebSockets`, 'per second', rows,
      best > 0 ? [{ id: 'W', text: 'node-asgi / the faster uvicorn', value: ours.rate / best, target: '>= 2' }] : []);
  }
  stopAll(servers);

  const idle = node('websocket-idle.js', IDLE, short ? 1000 : 40_000);
  report(`${IDLE} idle WebSockets, pinged every 20 s`, '', {
    'CPU, % of a core': { value: idle.cpuPercent }, 'memory per socket, KiB': { value: idle.bytesPerSocket / 1024 },
  });
}

module.exports = { webSockets };
