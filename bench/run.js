'use strict';

/**
 * Prints the ratios P1, P3 and P4 of docs/performance.md. Every figure is a median over rounds in which the
 * candidates take turns, so that what else the machine does hits all of them. `--short`: fewer and shorter rounds.
 */

const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const short = process.argv.includes('--short');
const ROUNDS = short ? 3 : 7;
const REQUESTS = short ? 40_000 : 200_000;
const LOAD_MS = short ? 1200 : 3000;

const root = path.join(__dirname, '..');
const driver = (name) => path.join(__dirname, 'drivers', name);
const venv = (name) => path.join(root, '.venv', 'bin', name);
const python = fs.existsSync(venv('python')) ? venv('python') : '/usr/bin/python3';
const env = { ...process.env, NODE_ASGI_PYTHON: python };
const skipped = [];

const median = (values) => values.slice().sort((a, b) => a - b)[values.length >> 1];
const run = (command, ...args) =>
  JSON.parse(execFileSync(command, args.map(String), { env, stdio: ['ignore', 'pipe', 'inherit'] }));

/** @param {Record<string, () => number>} candidates @returns {Record<string, number>} medians */
function takeTurns(candidates) {
  const seen = Object.fromEntries(Object.keys(candidates).map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, measure] of Object.entries(candidates)) seen[name].push(measure());
  }
  return Object.fromEntries(Object.entries(seen).map(([name, values]) => [name, median(values)]));
}

function row(name, value, unit) {
  console.log(`  ${name.padEnd(34)} ${value.toFixed(value < 100 ? 2 : 0).padStart(9)} ${unit}`);
}

function ratio(id, text, value, target) {
  console.log(`  ${id}: ${text} = ${value.toFixed(2)} (target ${target})\n`);
}

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

/** Starts a server and answers its port. @returns {Promise<{port: number, child: import('node:child_process').ChildProcess}>} */
function start(command, args, pattern = /(\d+)\n/) {
  // A group of its own: granian's worker outlives its parent, and would keep this process's pipe open.
  const child = spawn(command, args.map(String), { env, cwd: path.join(__dirname, 'drivers'), detached: true });
  return new Promise((resolve, reject) => {
    let text = '';
    const read = (data) => {
      text += data;
      const found = pattern.exec(text);
      if (found) resolve({ port: Number(found[1]), child });
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`${command} ended with ${code}: ${text}`)));
  });
}

/** granian does not tell the port it was given, so one is chosen for it. */
function freePort() {
  const server = require('node:net').createServer().listen(0, '127.0.0.1');
  return new Promise((resolve) => {
    server.on('listening', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
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
  for (const { child } of Object.values(servers)) {
    child.removeAllListeners('exit');
    process.kill(-child.pid, 'SIGKILL');
  }
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
  for (const what of skipped) console.log(`skipped ${what}`);
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
