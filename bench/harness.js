'use strict';

/** What every scenario of `npm run bench` needs: rounds in which candidates take turns, servers, and a report. */

const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');

const short = process.argv.includes('--short');
const ROUNDS = short ? 1 : 5;
/** How much of a full run's work a short one does. */
const PART = short ? 0.1 : 1;
const LOAD_MS = short ? 300 : 1500;

const root = path.join(__dirname, '..');
const driver = (name) => path.join(__dirname, 'drivers', name);
const server = (name) => path.join(__dirname, 'servers', name);
const venv = (name) => path.join(root, '.venv', 'bin', name);
const python = fs.existsSync(venv('python')) ? venv('python') : '/usr/bin/python3';
const env = { ...process.env, NODE_ASGI_PYTHON: python };
/** What could not be measured, and why. @type {string[]} */
const skipped = [];
/**
 * @typedef {{name: string, unit: string, rows: {name: string, value: number, notes: string}[], ratios: Ratio[]}} Scenario
 * @typedef {{id: string, text: string, value: number, target: string}} Ratio
 */
/** @type {Scenario[]} */
const scenarios = [];

const median = (values) => values.slice().sort((a, b) => a - b)[values.length >> 1];
const amount = (whole) => Math.max(1, Math.round(whole * PART));

/** Runs a driver and returns what it prints. @param {string} command @param {(string | number)[]} args @param {object} [more] of the environment */
function run(command, args, more = {}) {
  return JSON.parse(execFileSync(command, args.map(String), { env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'inherit'] }));
}
const node = (name, ...args) => run(process.execPath, [driver(name), ...args]);

/**
 * Lets candidates take turns, so that what else the machine does hits all of them.
 * @param {Record<string, () => Record<string, number>>} candidates
 * @returns {Record<string, Record<string, number>>} medians of every figure
 */
function takeTurns(candidates) {
  const seen = Object.fromEntries(Object.keys(candidates).map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, measure] of Object.entries(candidates)) seen[name].push(measure());
  }
  return Object.fromEntries(Object.entries(seen).map(([name, rounds]) => [name,
    Object.fromEntries(Object.keys(rounds[0]).map((figure) => [figure, median(rounds.map((round) => round[figure]))]))]));
}

const shown = (value) => (value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : Math.round(value).toLocaleString('en'));

/**
 * Prints a scenario and keeps it for the chart.
 * @param {string} name @param {string} unit @param {Record<string, {value: number, notes?: string}>} rows @param {Ratio[]} [ratios]
 */
function report(name, unit, rows, ratios = []) {
  console.log(`\n${name}, ${unit}`);
  for (const [row, { value, notes = '' }] of Object.entries(rows)) {
    console.log(`  ${row.padEnd(36)} ${shown(value).padStart(9)}   ${notes}`.trimEnd());
  }
  for (const { id, text, value, target } of ratios) console.log(`  ${id}: ${text} = ${shown(value)} (target ${target})`);
  scenarios.push({ name, unit, ratios, rows: Object.entries(rows).map(([row, { value, notes = '' }]) => ({ name: row, value, notes })) });
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

/** For servers that do not tell the port they were given. */
function freePort() {
  const listening = net.createServer().listen(0, '127.0.0.1');
  return new Promise((resolve) => {
    listening.on('listening', () => {
      const { port } = listening.address();
      listening.close(() => resolve(port));
    });
  });
}

/** The process and all that it has started. @param {number} pid @returns {number[]} */
function family(pid) {
  const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  return [pid, ...children.flatMap(family)];
}

/** What a server has used. @param {number} pid @returns {{cpu: number, rss: number}} microseconds, and MiB at present */
function usage(pid) {
  let [cpu, rss] = [0, 0];
  for (const one of family(pid)) {
    const fields = fs.readFileSync(`/proc/${one}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
    cpu += (Number(fields[11]) + Number(fields[12])) * 10_000; // ticks of 10 ms
    rss += Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${one}/status`, 'utf8'))[1]) / 1024;
  }
  return { cpu, rss };
}

/** @param {Record<string, {child: import('node:child_process').ChildProcess}>} servers */
function stopAll(servers) {
  for (const { child } of Object.values(servers)) {
    child.removeAllListeners('exit');
    process.kill(-child.pid, 'SIGKILL');
  }
}

module.exports = {
  LOAD_MS, ROUNDS, amount, driver, env, freePort, node, python, report, root, run, scenarios, server, short, skipped, start, startOn,
  stopAll, takeTurns, usage, venv,
};
