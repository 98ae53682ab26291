'use strict';

/** WebSockets: echo against uvicorn with `websockets`, and what sockets cost that do nothing. */

const {
  LOAD_MS, driver, freePort, python, ratio, row, run, short, skipped, start, startOn, stopAll, takeTurns,
} = require('./harness');

const CONNECTIONS = 32;
const IDLE = short ? 1000 : 5000;

async function webSockets() {
  const servers = { 'node-asgi': await start(process.execPath, [driver('node-asgi-websocket.js')]) };
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
  const measure = (depth) => takeTurns(Object.fromEntries(Object.entries(servers).map(([name, { port }]) =>
    [name, () => run(process.execPath, driver('websocket-load.js'), port, LOAD_MS, CONNECTIONS, depth).rate])));
  for (const [depth, what] of [[1, 'Echo round trips per second'], [32, 'Echoed messages per second, 32 under way on each']]) {
    console.log(`${what}, ${CONNECTIONS} WebSockets`);
    const rates = measure(depth);
    for (const [name, rate] of Object.entries(rates)) row(name, rate, '/s');
    const { 'node-asgi': ours, ...others } = rates;
    const best = Math.max(...Object.values(others));
    if (best > 0) ratio('W', 'node-asgi / the faster uvicorn', ours / best, '>= 2');
  }
  stopAll(servers);

  console.log(`${IDLE} idle WebSockets, pinged every 20 s`);
  const idle = run(process.execPath, driver('websocket-idle.js'), IDLE, short ? 5000 : 40_000);
  row('CPU', idle.cpuPercent, '% of a core');
  row('memory per socket', idle.bytesPerSocket / 1024, 'KiB');
  console.log('');
}

module.exports = { webSockets };
