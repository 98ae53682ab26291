'use strict';

/** WebSockets: echo against uvicorn with `websockets`, and what sockets cost that do nothing. */

const { LOAD_MS, driver, python, ratio, row, run, short, skipped, start, stopAll, takeTurns } = require('./harness');

const CONNECTIONS = 32;
const IDLE = short ? 1000 : 5000;

async function webSockets() {
  const servers = {};
  servers['node-asgi'] = await start(process.execPath, [driver('node-asgi-websocket.js')]);
  try {
    servers.uvicorn = await start(python, ['-m', 'uvicorn', 'echo:app', '--port', 0, '--no-access-log', '--loop', 'uvloop',
      '--ws', 'websockets', '--ws-per-message-deflate', 'false', '--lifespan', 'off'], /127\.0\.0\.1:(\d+)/);
  } catch (error) {
    skipped.push(`uvicorn with websockets: ${error.message.trim()}`);
  }
  const measure = (depth) => takeTurns(Object.fromEntries(Object.entries(servers).map(([name, { port }]) =>
    [name, () => run(process.execPath, driver('websocket-load.js'), port, LOAD_MS, CONNECTIONS, depth).rate])));
  for (const [depth, what] of [[1, 'Echo round trips per second'], [32, 'Echoed messages per second, 32 under way on each']]) {
    console.log(`${what}, ${CONNECTIONS} WebSockets`);
    const rates = measure(depth);
    for (const [name, rate] of Object.entries(rates)) row(name, rate, '/s');
    if (rates.uvicorn) ratio('W', 'node-asgi / uvicorn', rates['node-asgi'] / rates.uvicorn, '>= 2');
    else console.log('');
  }
  stopAll(servers);

  console.log(`${IDLE} idle WebSockets, pinged every 20 s`);
  const idle = run(process.execPath, driver('websocket-idle.js'), IDLE, short ? 5000 : 40_000);
  row('CPU', idle.cpuPercent, '% of a core');
  row('memory per socket', idle.bytesPerSocket / 1024, 'KiB');
  console.log('');
}

module.exports = { webSockets };
