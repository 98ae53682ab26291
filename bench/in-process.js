'use strict';

/** handleRequest() and its kin without a socket, against floors of the same machine. */

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { buildPreset } = require('../scripts/setup');
const { interpreters } = require('../scripts/interpreters');
const { amount, driver, node, python, report, root, run, server, skipped, start, stopAll, takeTurns } = require('./harness');

const CPU = 'microseconds of CPU a request';
/** Built as in CONTRIBUTING.md: `npm install --prefix build/bench/peer @platformatic/python-node@2.0.0`. */
const PEER = path.join(root, 'build', 'bench', 'peer');

function floors() {
  const requests = amount(200_000);
  const { floor, ours, signal } = takeTurns({
    floor: () => ({ cpu: run(python, [driver('python_floor.py'), requests]).cpu }),
    ours: () => node('in-process/hello.js', requests, 64),
    signal: () => node('in-process/hello.js', requests, 64, 0, 'signal'),
  });
  report('In process, 64 in flight', CPU, {
    'pure Python: create_task(app(...))': { value: floor.cpu },
    handleRequest: { value: ours.cpu, notes: `${Math.round(ours.rate).toLocaleString('en')} requests per second` },
    'handleRequest with an AbortSignal': { value: signal.cpu, notes: 'the signal is made for each' },
  }, [{ id: 'P1', text: 'handleRequest / pure Python', value: ours.cpu / floor.cpu, target: '<= 2.5' }]);
  peer();
}

function peer() {
  if (!fs.existsSync(path.join(PEER, 'node_modules', '@platformatic'))) {
    skipped.push('@platformatic/python-node (P2): not installed; CONTRIBUTING.md has the line');
    return;
  }
  // It is linked with this one version.
  const wanted = interpreters().find(({ label }) => label === 'CPython 3.13')?.executable;
  const libraries = wanted ? path.join(path.dirname(path.dirname(wanted)), 'lib') : '';
  try {
    const { them, ours } = takeTurns({
      them: () => run(process.execPath, [driver('in-process/peer.js'), amount(5000), 64, PEER], { LD_LIBRARY_PATH: libraries }),
      ours: () => node('in-process/hello.js', amount(200_000), 64),
    });
    const { rate, cpu } = them;
    report('In process, 64 in flight', 'requests per second', {
      '@platformatic/python-node': { value: rate, notes: `${cpu.toFixed(0)} us of CPU a request` }, handleRequest: { value: ours.rate, notes: `${ours.cpu.toFixed(1)} us of CPU a request` },
    }, [{ id: 'P2', text: 'handleRequest / @platformatic/python-node', value: ours.rate / rate, target: '>= 100' }]);
  } catch (error) {
    skipped.push(`@platformatic/python-node (P2): ${error.message.split('\n')[0]}`);
  }
}

function oneInFlight() {
  const addon = path.join(root, 'build', 'bench', 'pingpong.node');
  const include = path.join(path.dirname(path.dirname(fs.realpathSync(process.execPath))), 'include', 'node');
  fs.mkdirSync(path.dirname(addon), { recursive: true });
  execFileSync('g++', ['-std=c++20', '-O2', '-shared', '-fPIC', '-I', include, '-o', addon, driver('pingpong.cc')]);
  const requests = amount(50_000);
  const { floor, ours, spin } = takeTurns({
    floor: () => node('pingpong.js', addon, requests),
    ours: () => node('in-process/hello.js', requests, 1),
    spin: () => node('in-process/hello.js', requests, 1, 50),
  });
  const notes = ({ cpu }) => `${cpu.toFixed(1)} us of CPU a request`;
  report('One request in flight', 'microseconds a round trip', {
    'eventfd + uv_async ping-pong': { value: floor.roundTrip },
    handleRequest: { value: ours.roundTrip, notes: notes(ours) },
    'handleRequest, spin: 50': { value: spin.roundTrip, notes: notes(spin) },
    handleRequestSync: { value: node('in-process/sync.js', amount(20_000)).roundTrip },
  }, [
    { id: 'P4', text: 'handleRequest / ping-pong', value: ours.roundTrip / floor.roundTrip, target: '<= 1.5' },
    { id: 'P4', text: 'with spin: 50 / ping-pong', value: spin.roundTrip / floor.roundTrip, target: '<= 1.5' },
  ]);
}

/** The way of a request, by time stamps: the build of the preset `trace`. */
function way() {
  buildPreset('trace');
  const binary = { NODE_ASGI_BINARY: path.join(root, 'build', 'cmake', 'trace', 'node_asgi.node') };
  const traced = (spin) => run(process.execPath, [driver('traced.js'), amount(50_000), spin], binary);
  const { asleep, spin } = takeTurns({ asleep: () => traced(0), spin: () => traced(50) });
  report('The way of a request that is alone', 'microseconds', Object.fromEntries(Object.entries(asleep)
    .map(([stage, value]) => [stage, { value, notes: `${spin[stage].toFixed(2)} with spin: 50` }])));
}

function bodies() {
  const { echo, stream } = takeTurns({
    echo: () => node('in-process/echo.js', amount(400)), stream: () => node('in-process/stream.js', amount(20)),
  });
  report('Bodies in process', 'GB/s', {
    '64 MiB as a stream': { value: stream.bytes / 1e9 }, '1 MiB up and down': { value: echo.bytes / 1e9 },
  }, [
    { id: 'P5', text: 'stream, GB/s', value: stream.bytes / 1e9, target: '>= 1.5' },
    { id: 'P6', text: 'up and down, GB/s', value: echo.bytes / 1e9, target: '>= 1' },
  ]);
}

function waiting() {
  const { seconds, slowestRead, pendingCpu } = node('in-process/sleepers.js', amount(10_000));
  report('Waiting', '', {
    '1,000 that sleep for 1 s, seconds': { value: seconds }, 'slowest fs.readFile meanwhile, ms': { value: slowestRead },
    '100 pending, % of a core': { value: pendingCpu },
  }, [
    { id: 'P7', text: '1,000 sleepers, seconds', value: seconds, target: '< 1.5' },
    { id: 'P7', text: 'fs.readFile meanwhile, ms', value: slowestRead, target: '< 20' },
    { id: 'P7', text: '100 pending, % of a core', value: pendingCpu, target: '< 1' },
  ]);
}

/** A route of Node's own while Python computes in the same process. */
async function besidePython() {
  const spinning = await start(process.execPath, [server('spinning.js')]);
  const at = (target) => ({ ...node('load.js', spinning.port, target, 1, amount(6000), 0) });
  at('/node');
  const idle = at('/node');
  await fetch(`http://127.0.0.1:${spinning.port}/spin`);
  const busy = at('/node');
  stopAll({ spinning });
  report("A plain Node route while Python spins, one connection", 'milliseconds', {
    'p99, Python idle': { value: idle.p99, notes: `longest ${idle.max.toFixed(1)}` },
    'p99, Python spinning': { value: busy.p99, notes: `longest ${busy.max.toFixed(1)}` },
  }, [
    { id: 'P9', text: 'p99 grows by, ms', value: busy.p99 - idle.p99, target: '< 1' },
    { id: 'P9', text: 'longest, ms', value: busy.max, target: '< 50' },
  ]);
}

/** How the cost of a request grows. */
function slopes() {
  const usual = { inFlight: 64, fields: 2, bytes: 13, tasks: 0 };
  const slope = (name, key, steps) => {
    const rows = takeTurns(Object.fromEntries(steps.map((step) => [step, () => {
      const { inFlight, fields, bytes, tasks } = { ...usual, [key]: step };
      return node('in-process/slope.js', amount(bytes > 100_000 ? 5000 : 50_000), inFlight, fields, bytes, tasks);
    }])));
    report(name, CPU, Object.fromEntries(steps.map((step) => [step.toLocaleString('en'), { value: rows[step].cpu }])));
  };
  slope('By requests in flight', 'inFlight', [1, 8, 64, 512]);
  slope('By header fields of the request', 'fields', [0, 10, 50]);
  slope('By bytes of the response', 'bytes', [0, 1024, 16_384, 65_536, 1_048_576]);
  slope('By asyncio tasks that sleep meanwhile', 'tasks', [0, 1000, 10_000]);
}

async function inProcess() {
  floors();
  oneInFlight();
  way();
  bodies();
  waiting();
  await besidePython();
}

module.exports = { inProcess, slopes: async () => slopes() };
