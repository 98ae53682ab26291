'use strict';

/**
 * Prints the ratios P1, P3 and P4 of docs/performance.md, and those of WebSockets. Every figure is a median over rounds in which the
 * candidates take turns, so that what else the machine does hits all of them. `--short`: fewer and shorter rounds.
 */

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const {
  LOAD_MS, REQUESTS, ROUNDS, driver, freePort, python, ratio, root, row, run, skipped, start, stopAll, takeTurns, venv,
} = require('./harness');
const { webSockets } = require('./websocket');

function cpu() {
  let loop;
  const { floor, ours } = takeTurns({
    floor: () => {
      const answer = run(python, driver('python_floor.py'), REQUESTS);
      ({ loop } = answer);
      return answer.cpu;
    },
    ours: () => run(process.execPath, driver('in-process.js'), REQUESTS, 64).cpu,
  });
  console.log(`CPU per request in process, 64 in flight (${loop})`);
  row('pure Python floor', floor, 'us');
  row('handleRequest', ours, 'us');
  ratio('P1', 'handleRequest / floor', ours / floor, '<= 2.5');
}

async function behindHttp() {
  const servers = {};
  const add = async (name, begin) => {
    try {
      servers[name] = await begin();
    } catch (error) {
      skipped.push(`${name}: ${error.message.trim()}`);
    }
  };
  await add('node:http alone', () => start(process.execPath, [driver('bare-http.js')]));
  await add('node-asgi behind node:http', () => start(process.execPath, [driver('node-asgi.js')]));
  await add('uvicorn alone', () => start(python, ['-m', 'uvicorn', 'hello:app', '--port', 0, '--no-access-log',
    '--loop', 'uvloop', '--http', 'httptools'], /127\.0\.0\.1:(\d+)/));
  await add('granian alone', async () => {
    const port = await freePort();
    const granian = await start(venv('granian'), ['--interface', 'asgi', '--port', port, '--no-access-log', 'hello:app'],
      /Started worker/);
    return { ...granian, port };
  });
  if (servers['uvicorn alone']) {
    await add('node:http -> undici -> uvicorn', () =>
      start(process.execPath, [driver('proxy.js'), servers['uvicorn alone'].port]));
  }
  const rates = takeTurns(Object.fromEntries(Object.entries(servers).map(([name, { port }]) =>
    [name, () => run(process.execPath, driver('load.js'), port, LOAD_MS).rate])));
  stopAll(servers);
  console.log('Requests per second, 64 connections');
  for (const [name, rate] of Object.entries(rates)) row(name, rate, '/s');
  const ours = rates['node-asgi behind node:http'];
  ratio('P3', 'node-asgi / node:http alone', ours / rates['node:http alone'], '>= 0.80');
  const proxied = rates['node:http -> undici -> uvicorn'];
  if (proxied) ratio('P3', 'node-asgi / proxy to uvicorn', ours / proxied, '>= 2.5');
}

function oneInFlight() {
  const addon = path.join(root, 'build', 'bench', 'pingpong.node');
  const include = path.join(path.dirname(path.dirname(fs.realpathSync(process.execPath))), 'include', 'node');
  fs.mkdirSync(path.dirname(addon), { recursive: true });
  execFileSync('g++', ['-std=c++20', '-O2', '-shared', '-fPIC', '-I', include, '-o', addon, driver('pingpong.cc')]);
  const { floor, ours } = takeTurns({
    floor: () => run(process.execPath, driver('pingpong.js'), addon, REQUESTS / 4).roundTrip,
    ours: () => run(process.execPath, driver('in-process.js'), REQUESTS / 4, 1).roundTrip,
  });
  console.log('One request in flight, round trip');
  row('eventfd + uv_async ping-pong', floor, 'us');
  row('handleRequest', ours, 'us');
  ratio('P4', 'handleRequest / ping-pong', ours / floor, '<= 1.5');
}

async function main() {
  const version = execFileSync(python, ['--version'], { encoding: 'utf8' }).trim();
  console.log(`${os.cpus()[0].model}, ${os.cpus().length} cores, ${os.type()} ${os.release()}`);
  console.log(`Node ${process.version}, ${version}, ${new Date().toISOString().slice(0, 10)}, medians of ${ROUNDS}\n`);
  cpu();
  await behindHttp();
  oneInFlight();
  await webSockets();
  for (const what of skipped) console.log(`skipped ${what}`);
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
