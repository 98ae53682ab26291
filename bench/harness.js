'use strict';

/** What every scenario of `npm run bench` needs: rounds in which candidates take turns, servers, and rows of figures. */

const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
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
/** What could not be measured, and why. @type {string[]} */
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

/** Starts a server that says nothing, on a port of ours, and waits until it listens there. */
async function startOn(port, command, args) {
  const child = spawn(command, args.map(String), { env, cwd: path.join(__dirname, 'drivers'), detached: true, stdio: 'ignore' });
  for (let attempt = 0; attempt < 200 && child.exitCode === null; attempt++) {
    const listens = await new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (listens) return { port, child };
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  throw new Error(`${command} ${args.join(' ')} does not listen (exit code ${child.exitCode})`);
}

/** granian does not tell the port it was given, so one is chosen for it. */
function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  return new Promise((resolve) => {
    server.on('listening', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** @param {Record<string, {child: import('node:child_process').ChildProcess}>} servers */
function stopAll(servers) {
  for (const { child } of Object.values(servers)) {
    child.removeAllListeners('exit');
    process.kill(-child.pid, 'SIGKILL');
  }
}

module.exports = {
  LOAD_MS, REQUESTS, ROUNDS, driver, freePort, python, ratio, root, row, run, short, skipped, start, startOn, stopAll, takeTurns, venv,
};
