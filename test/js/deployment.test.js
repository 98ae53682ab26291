'use strict';

/** examples/deployment: two replicas behind the real nginx, and what its other files say. */

const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');

const { WebSocket } = require('ws');

const { Child } = require('../helpers/child');
const { eventually, later } = require('../helpers/core-apps');
const { freePort } = require('../helpers/servers');
const { nginx: findNginx } = require('../../scripts/nginx');
const { venvPython } = require('../../scripts/setup');

const EXAMPLE = path.resolve(__dirname, '../../examples/deployment');
const has = (command) => spawnSync(command, ['-h'], { stdio: 'ignore' }).error === undefined;
const nginx = findNginx();
const read = (name) => fs.readFileSync(path.join(EXAMPLE, name), 'utf8');

const running = [];
let folder;
beforeAll(() => { folder = fs.mkdtempSync(path.join(os.tmpdir(), 'node-asgi-deployment-')); });
afterEach(async () => {
  for (const child of running.splice(0)) {
    child.kill('SIGKILL');
    await child.ended();
  }
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

async function replica(name, port) {
  const child = new Child([path.join(EXAMPLE, 'server.js')], {
    cwd: EXAMPLE, env: { ...process.env, PORT: String(port), REPLICA: name, DRAIN_SECONDS: '1', NODE_ASGI_PYTHON: venvPython },
  });
  running.push(child);
  await child.printed(/^http:/m);
  await eventually(async () => (await get(port, '/readyz')).status === 200, { timeout: 20_000 });
  return child;
}

/** @returns {Promise<{status: number, text: string}>} status 0: no answer */
function get(port, target, agent = false) {
  return new Promise((resolve) => {
    const req = http.get({ host: '127.0.0.1', port, path: target, agent, timeout: 20_000 }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (data) => { text += data; });
      res.on('end', () => resolve({ status: res.statusCode, text }));
      res.on('error', (error) => resolve({ status: 0, text: error.message }));
    });
    req.on('timeout', () => req.destroy(new Error('no answer')));
    req.on('error', (error) => resolve({ status: 0, text: error.message }));
  });
}

/** The example's configuration with other ports, run by a user who may write nowhere but here. */
async function startNginx(ports) {
  const port = await freePort();
  const own = ['pid nginx.pid;', 'error_log error.log;', 'daemon off;', 'master_process off;',
    process.getuid() === 0 ? 'user root;' : ''].join('\n');
  const paths = ['access_log off;', ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${kind};`)];
  const configuration = read('nginx.conf').replace('127.0.0.1:8001', `127.0.0.1:${ports[0]}`)
    .replace('127.0.0.1:8002', `127.0.0.1:${ports[1]}`).replace('listen 8080', `listen 127.0.0.1:${port}`)
    .replace('http {', `http {\n${paths.join('\n')}`);
  fs.writeFileSync(path.join(folder, 'nginx.conf'), `${own}\n${configuration}`);
  const child = new Child(['-p', `${folder}/`, '-c', path.join(folder, 'nginx.conf'), '-e', 'error.log'], {}, nginx);
  running.push(child);
  await eventually(async () => (await get(port, '/hello/nginx')).status === 200, { timeout: 10_000 });
  return port;
}

/** Asks without pause over 32 connections until stopped. */
function load(port) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
  const answers = [];
  let going = true;
  const clients = Array.from({ length: 32 }, async (_, client) => {
    while (going) answers.push(await get(port, `/hello/${client}`, agent));
  });
  return {
    answers,
    async stop() {
      going = false;
      await Promise.all(clients);
      agent.destroy();
    },
  };
}

(nginx ? describe : describe.skip)('two replicas behind nginx', () => {
  let ports;
  let replicas;
  let port;
  beforeEach(async () => {
    ports = [await freePort(), await freePort()];
    replicas = await Promise.all([replica('one', ports[0]), replica('two', ports[1])]);
    port = await startNginx(ports);
  }, 60_000);

  const served = (answers) => new Set(answers.map(({ text }) => JSON.parse(text).replica));

  test.each([['SIGKILL', 'one is killed'], ['SIGTERM', 'one is asked to leave']])('%s: no request that may be repeated fails when %s under load', async (signal) => {
    const traffic = load(port);
    await eventually(() => traffic.answers.length > 300, { timeout: 20_000 });
    expect(served(traffic.answers)).toEqual(new Set(['one', 'two']));
    replicas[0].kill(signal);
    const ended = await replicas[0].ended(20_000);
    const since = traffic.answers.length;
    await eventually(() => traffic.answers.length > since + 300, { timeout: 20_000 });
    await traffic.stop();
    expect(traffic.answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(served(traffic.answers.slice(since + 64))).toEqual(new Set(['two']));
    expect(ended).toEqual(signal === 'SIGKILL' ? { code: null, signal } : { code: 0, signal: null });
  }, 60_000);

  test('a replica that comes back takes its part again', async () => {
    replicas[0].kill('SIGKILL');
    await replicas[0].ended();
    expect((await get(port, '/hello/x')).status).toBe(200);
    await replica('one', ports[0]);
    await eventually(async () => JSON.parse((await get(port, '/hello/x')).text).replica === 'one', { timeout: 20_000, every: 50 });
  }, 60_000);

  test('streams come piece by piece', async () => {
    const times = [];
    await new Promise((resolve, reject) => {
      http.get({ host: '127.0.0.1', port, path: '/count', agent: false }, (res) => {
        res.on('data', () => times.push(performance.now()));
        res.on('end', resolve);
      }).on('error', reject);
    });
    expect(times.length).toBe(5);
    expect(times.at(-1) - times[0]).toBeGreaterThan(300);
  });

  test('WebSockets pass, and hear 1012 when their replica leaves', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`);
    await new Promise((resolve, reject) => { socket.once('open', resolve).once('error', reject); });
    socket.send('hello');
    const [text] = await new Promise((resolve) => { socket.once('message', (data) => resolve([String(data)])); });
    const [, name] = /^(one|two): hello$/.exec(text);
    const closed = new Promise((resolve) => { socket.once('close', resolve); });
    replicas[name === 'one' ? 0 : 1].kill('SIGTERM');
    expect(await closed).toBe(1012);
  }, 30_000);
});

test('a replica is alive before it is ready, and no longer ready once it is asked to leave', async () => {
  const port = await freePort();
  const child = await replica('only', port);
  expect((await get(port, '/livez')).status).toBe(200);
  child.kill('SIGTERM');
  await later(200);
  expect((await get(port, '/readyz')).status).toBe(503);
  expect((await get(port, '/livez')).status).toBe(200);
  expect((await get(port, '/hello/late')).status).toBe(200);
  expect(await child.ended(10_000)).toEqual({ code: 0, signal: null });
}, 30_000);

(has('systemd-analyze') ? test : test.skip)('systemd has nothing to say about the unit', () => {
  const unit = path.join(folder, 'node-asgi@.service');
  // The paths of a real machine: here only those of this one exist.
  fs.writeFileSync(unit, read('node-asgi.service').replace('/usr/bin/node', process.execPath));
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', path.join(folder, 'node-asgi@8001.service')], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
});

test('the manifest for Kubernetes is YAML, and its probes ask what the server answers', () => {
  const code = 'import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin))))';
  const documents = JSON.parse(execFileSync(venvPython, ['-c', code], { encoding: 'utf8', input: read('kubernetes.yaml') }));
  expect(documents.map(({ kind }) => kind)).toEqual(['Deployment', 'Service', 'HorizontalPodAutoscaler', 'PodDisruptionBudget']);
  const [{ spec: { template: { spec } } }] = documents;
  const [container] = spec.containers;
  const server = read('server.js');
  for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) expect(server).toContain(`'${container[probe].httpGet.path}'`);
  const drain = Number(container.env.find(({ name }) => name === 'DRAIN_SECONDS').value);
  const [, closing] = /close\(\{ timeout: ([\d_]+) \}\)/.exec(server);
  expect(spec.terminationGracePeriodSeconds).toBeGreaterThan(drain + Number(closing.replace('_', '')) / 1000);
});

test('docs/deployment.md shows these files as they are', () => {
  const docs = fs.readFileSync(path.resolve(__dirname, '../../docs/deployment.md'), 'utf8');
  for (const name of ['server.js', 'nginx.conf', 'node-asgi.service', 'Dockerfile', 'kubernetes.yaml']) {
    expect(docs).toContain(`\n${read(name)}\`\`\``);
  }
});
