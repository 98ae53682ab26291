'use strict';

/** The same app behind every server, over sockets. */

const {
  LOAD_MS, freePort, node, python, report, server, short, skipped, start, stopAll, takeTurns, usage, venv,
} = require('./harness');

const OURS = 'node-asgi behind node:http';
const BARE = 'node:http alone';
const PROXY = 'node:http -> undici -> uvicorn';

const SILENT = 'no answer in the time that there was';

const mbps = (bytes) => bytes / 1e6;

/** name, path(s), connections, bytes of a request body; `stream`: told in MB/s. */
const SCENARIOS = [
  { name: 'hello', paths: '/', connections: 64, ratios: true },
  { name: 'JSON of 1 KB', paths: '/json', connections: 64 },
  { name: '10 header fields', paths: '/headers', connections: 64 },
  { name: 'mixed: hello, JSON, headers, 1 MB', paths: '/,/json,/headers,/,/json,/headers,/megabyte', connections: 64 },
  { name: '1 MB down', paths: '/megabyte', connections: 8, throughput: true },
  { name: '1 MiB up and down', paths: '/echo', connections: 8, body: 1 << 20, throughput: true },
  { name: '64 MiB as a stream', paths: '/stream', connections: 1, throughput: true, stream: true },
  { name: 'one connection', paths: '/', connections: 1 },
];

async function startServers() {
  const servers = {};
  const add = async (name, begin) => {
    try {
      servers[name] = await begin();
    } catch (error) {
      skipped.push(`${name}: ${error.message.trim().split('\n')[0]}`);
    }
  };
  const ours = (name) => () => start(process.execPath, [server(name)]);
  await add(BARE, ours('bare-http.js'));
  await add(OURS, ours('node-asgi-http.js'));
  await add('node-asgi in Express', ours('node-asgi-express.js'));
  await add('node-asgi in Fastify', ours('node-asgi-fastify.js'));
  await add('uvicorn', () => start(python, ['-m', 'uvicorn', 'site_app:app', '--port', 0, '--no-access-log', '--loop', 'uvloop',
    '--http', 'httptools', '--lifespan', 'off'], /127\.0\.0\.1:(\d+)/));
  await add('granian', async () => {
    const port = await freePort();
    const granian = await start(venv('granian'), ['--interface', 'asgi', '--port', port, '--no-access-log', 'site_app:app'], /Started worker/);
    return { ...granian, port };
  });
  await add('hypercorn', async () => {
    const port = await freePort();
    const hypercorn = await start(venv('hypercorn'), ['--bind', `127.0.0.1:${port}`, '-k', 'uvloop', 'site_app:app'], /Running on/);
    return { ...hypercorn, port };
  });
  if (servers.uvicorn) await add(PROXY, () => start(process.execPath, [server('proxy.js'), servers.uvicorn.port]));
  return servers;
}

function load({ port, child }, { paths, connections, body = 0, stream }) {
  const before = usage(child.pid);
  const figures = node('load.js', port, paths, connections, stream && !short ? LOAD_MS * 2 : LOAD_MS, body);
  const after = usage(child.pid);
  // The driver counts three quarters of its time, the server all of it.
  return { ...figures, cpu: (after.cpu - before.cpu) / (figures.rate * LOAD_MS / 1000), rss: after.rss };
}

async function http() {
  const servers = await startServers();
  for (const scenario of SCENARIOS) {
    const able = Object.entries(servers).filter(([name]) => !(name === PROXY && (scenario.body || scenario.stream)));
    const rows = {};
    const figures = takeTurns(Object.fromEntries(able.map(([name, running]) => [name, () => load(running, scenario)])));
    for (const [name, { rate, bytes, p50, p99, cpu, rss }] of Object.entries(figures)) {
      const notes = rate === 0 ? SILENT : scenario.stream ? `${rss.toFixed(0)} MiB`
        : `p50 ${p50.toFixed(2)} ms  p99 ${p99.toFixed(2)} ms  ${cpu.toFixed(1)} us of CPU a request  ${rss.toFixed(0)} MiB`;
      rows[name] = { value: scenario.throughput ? mbps(scenario.body ? bytes * 2 : bytes) : rate, notes };
    }
    const ours = rows[OURS].value;
    const ratios = [];
    if (scenario.ratios) {
      ratios.push({ id: 'P3', text: `${OURS} / ${BARE}`, value: ours / rows[BARE].value, target: '>= 0.80' });
      if (rows[PROXY]) ratios.push({ id: 'P3', text: `${OURS} / ${PROXY}`, value: ours / rows[PROXY].value, target: '>= 2.5' });
    }
    if (scenario.stream) ratios.push({ id: 'P5', text: `${OURS} / Node's own stream`, value: ours / rows[BARE].value, target: '>= 0.8' });
    report(scenario.name, scenario.throughput ? 'MB/s' : 'requests per second', rows, ratios);
  }
  const connections = short ? 100 : 1000;
  const rows = {};
  for (const [name, { port, child }] of Object.entries(servers)) {
    if (name === PROXY) continue;
    const before = usage(child.pid);
    const { rate } = node('events-load.js', port, connections, LOAD_MS);
    const { cpu, rss } = usage(child.pid);
    const notes = `${((cpu - before.cpu) / LOAD_MS / 10).toFixed(0)} % of a core  ${rss.toFixed(0)} MiB`;
    rows[name] = { value: rate, notes: rate === 0 ? SILENT : notes };
  }
  report(`${connections} clients of server-sent events, 10 a second each`, 'events per second', rows);
  stopAll(servers);
}

module.exports = { http };
