'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');

const ROOT = path.resolve(__dirname, '../..');
const VENV_PYTHON = path.join(ROOT, '.venv', 'bin', 'python');

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 5_000;

/**
 * Starts uvicorn as a child process and resolves when it accepts connections.
 *
 * uvicorn puts `rootPath` in front of every path it receives, as a proxy that strips the prefix expects.
 * A request for `/api/x` on an Express mount at `/api` is therefore `/x` here, with `rootPath: '/api'`.
 *
 * @param {{ docroot: string, target: string, rootPath?: string, lifespan?: 'auto'|'on'|'off' }} options
 * @returns {Promise<{ port: number, log(): string, close(): Promise<void> }>}
 */
async function startUvicorn({ docroot, target, rootPath = '', lifespan = 'auto' }) {
  if (!fs.existsSync(VENV_PYTHON)) {
    throw new Error(`uvicorn cannot start: ${VENV_PYTHON} does not exist. Run "npm run setup" first.`);
  }
  const args = [
    '-m', 'uvicorn', target, '--app-dir', docroot, '--host', '127.0.0.1', '--port', '0', '--lifespan', lifespan,
    '--ws', 'none', '--no-access-log', '--no-date-header', '--no-server-header', '--no-proxy-headers',
    '--no-use-colors',
  ];
  if (rootPath) args.push('--root-path', rootPath);
  const child = spawn(VENV_PYTHON, args, { cwd: docroot, stdio: ['ignore', 'pipe', 'pipe'] });

  let log = '';
  let ended = null;
  const exited = new Promise((resolve) => {
    child.once('error', (error) => { ended = error.message; resolve(); });
    child.once('exit', (code, signal) => { ended = `exit code ${code}, signal ${signal}`; resolve(); });
  });
  const close = async () => {
    if (ended !== null) return;
    const kill = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    child.kill('SIGTERM');
    await exited;
    clearTimeout(kill);
  };

  try {
    const port = await new Promise((resolve, reject) => {
      const fail = (why) => reject(new Error(`uvicorn did not start for ${target} (${why}):\n${log}`));
      const timer = setTimeout(() => fail(`no answer in ${START_TIMEOUT_MS} ms`), START_TIMEOUT_MS);
      const read = (text) => {
        log += text;
        const found = /running on http:\/\/127\.0\.0\.1:(\d+)/.exec(log);
        if (!found) return;
        clearTimeout(timer);
        resolve(Number(found[1]));
      };
      child.stdout.setEncoding('utf8').on('data', read);
      child.stderr.setEncoding('utf8').on('data', read);
      exited.then(() => { clearTimeout(timer); fail(ended); });
    });
    await acceptsConnections(port);
    return { port, close, log: () => log };
  } catch (error) {
    await close();
    throw error;
  }
}

function acceptsConnections(port) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => { socket.destroy(); resolve(); });
    socket.once('error', reject);
  });
}

module.exports = { startUvicorn, VENV_PYTHON, ROOT };
