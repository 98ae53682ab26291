'use strict';

/**
 * How a process ends while Python is busy: with the right code or signal, in time, and never by a crash. EXIT_ROUNDS
 * repeats it all; docs/reliability.md has what many rounds have shown.
 */

const { spawn } = require('node:child_process');
const path = require('node:path');

const ROOT = path.resolve(__dirname, '../..');
const ROUNDS = Number(process.env.EXIT_ROUNDS ?? 1);
/** Option shutdownTimeout, and what a process may take beyond it, in milliseconds. */
const GRACE = 300;
const BEYOND = 500;

const program = (way, end) => `
  const { PythonHandler } = require(${JSON.stringify(ROOT)});
  const handler = new PythonHandler({
    docroot: ${JSON.stringify(path.join(ROOT, 'fixtures/core'))}, target: 'busy:app', lifespan: 'off', shutdownTimeout: ${GRACE},
  });
  const end = () => { console.log('ending'); ${end} };
  handler.handleStream({ url: '/${way}' }).then((stream) => {
    stream.resume();
    stream.on('error', () => {});
    setTimeout(end, 50);
  });
`;

const WAYS = ['request', 'stream', 'pool', 'thread', 'spins'];
/** name: [code, signal, what the program does]; a way that would go on for ever is closed first. */
const ENDS = {
  'its natural end': [0, null, 'handler.close();'],
  'process.exit()': [7, null, 'process.exit(7);'],
  'an uncaught exception': [1, null, "throw new Error('mine');"],
  SIGINT: [null, 'SIGINT', "process.kill(process.pid, 'SIGINT');"],
  SIGTERM: [null, 'SIGTERM', "process.kill(process.pid, 'SIGTERM');"],
};

/** @returns {Promise<{code: number | null, signal: string | null, took: number, stderr: string}>} */
function run(way, end) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['-e', program(way, end)], { stdio: ['ignore', 'pipe', 'pipe'] });
    let began = 0;
    let stderr = '';
    const kill = setTimeout(() => child.kill('SIGKILL'), 20_000);
    child.stdout.on('data', () => { began = performance.now(); });
    child.stderr.on('data', (data) => { stderr += data; });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      clearTimeout(kill);
      resolve({ code, signal, took: performance.now() - began, stderr });
    });
  });
}

describe.each(Object.entries(ENDS))('%s', (_name, [code, signal, end]) => {
  test.each(WAYS)('with Python busy: %s', async (way) => {
    const took = [];
    const inTime = () => took.slice().sort((a, b) => a - b)[took.length >> 1] < GRACE + BEYOND;
    // Two more when one was late: a machine that pauses is not what is tested.
    while (took.length < ROUNDS || (!inTime() && took.length < ROUNDS + 2)) {
      const ended = await run(way, end);
      expect(ended).toMatchObject({ code, signal });
      if (code === 0) expect(ended.stderr.replace(/^ERR_PYTHON_LOOP_BLOCKED[\s\S]*/, '')).toBe('');
      took.push(ended.took);
    }
    expect({ took, inTime: inTime() }).toEqual({ took, inTime: true });
  }, 30_000 + ROUNDS * 5_000);
});
