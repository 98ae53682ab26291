'use strict';

/** `node-asgi serve`: an ASGI server of Node's http and a Python app, with uvicorn's options where they exist. */

const cluster = require('node:cluster');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const path = require('node:path');
const { parseArgs } = require('node:util');

const { PythonHandler, pythonInfo } = require('../python-handler');
const { makeLog } = require('./log');
const { UsageError } = require('./usage-error');
const { superviseWorkers } = require('./workers');

const STARTUP_FAILURE = 3;
/** How long a server that stops waits for requests of connections that it has, in milliseconds. */
const LAST_REQUESTS = 100;

/** name: [metavariable, default, what it does]; flags have no metavariable. */
const OPTIONS = {
  host: ['ADDRESS', '127.0.0.1', 'address to listen on; 0.0.0.0 for all of IPv4, :: for all'],
  port: ['NUMBER', '8000', 'port to listen on; 0 for a free one'],
  uds: ['PATH', undefined, 'a unix socket instead of address and port'],
  docroot: ['FOLDER', '.', 'the folder of the app; --app-dir is the same'],
  python: ['PATH', undefined, 'interpreter or venv folder; default: searched, see `npx node-asgi doctor`'],
  workers: ['NUMBER', process.env.WEB_CONCURRENCY ?? '1', 'processes; more than 1 are supervised and restarted'],
  reload: [undefined, false, 'load the app anew when a .py file below the folder changes'],
  factory: [undefined, false, 'the target is a function that makes the app'],
  'root-path': ['PATH', '', 'where a proxy has mounted the app'],
  lifespan: ['auto|on|off', 'auto', 'whether the app has a lifespan'],
  loop: ['NAME', 'auto', 'auto, asyncio, uvloop or module:factory'],
  'log-level': ['LEVEL', 'info', 'critical, error, warning, info or debug'],
  'log-format': ['text|json', 'text', 'lines to read, or one JSON object each'],
  'no-access-log': [undefined, false, 'no line for each request'],
  'ssl-key': ['FILE', undefined, 'key for https; --ssl-keyfile is the same'],
  'ssl-cert': ['FILE', undefined, 'certificate for https; --ssl-certfile is the same'],
  'limit-concurrency': ['NUMBER', '0', 'requests at the same time, more are answered 503; 0: no limit'],
  'max-requests': ['NUMBER', '0', 'requests after which a worker is replaced; 0: never; --limit-max-requests is the same'],
  'max-requests-jitter': ['NUMBER', '0', 'up to so many more, so that workers are not replaced all at once'],
  'timeout-keep-alive': ['SECONDS', '5', 'idle connections are closed after this'],
  'timeout-graceful-shutdown': ['SECONDS', '5', 'for requests under way and the shutdown of the app'],
  'ws-max-size': ['BYTES', '16777216', 'longest WebSocket message'],
  'ws-ping-interval': ['SECONDS', '20', 'between WebSocket pings; 0: none'],
  'ws-ping-timeout': ['SECONDS', '20', 'for the answer to a ping'],
};
const ALIASES = {
  'app-dir': 'docroot', 'ssl-keyfile': 'ssl-key', 'ssl-certfile': 'ssl-cert', 'limit-max-requests': 'max-requests',
};

function help() {
  const lines = Object.entries(OPTIONS).map(([name, [meta, fallback, text]]) => {
    const shown = meta && fallback !== undefined && fallback !== '' ? ` [${fallback}]` : '';
    return `  --${`${name}${meta ? ` ${meta}` : ''}`.padEnd(34)} ${text}${shown}`;
  });
  return `Usage: npx node-asgi serve [options] [module:app]

Serves a Python ASGI app (FastAPI, Starlette, Django, Quart, Litestar …); the default is main:app.

  npx node-asgi serve main:app --reload          while you work on it
  npx node-asgi serve main:app --host 0.0.0.0 --workers 4

${lines.join('\n')}

Signals: SIGTERM and SIGINT finish what is under way; with workers, SIGHUP replaces them one by one.
Exit codes: 0 ended as asked, 1 it failed, 2 wrong use, 3 the app did not start.
`;
}

/** @param {string[]} args */
function readArguments(args) {
  const options = {};
  for (const [name, [meta]] of Object.entries(OPTIONS)) options[name] = { type: meta ? 'string' : 'boolean' };
  for (const name of Object.keys(ALIASES)) options[name] = { type: 'string' };
  options.help = { type: 'boolean', short: 'h' };
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  for (const [alias, name] of Object.entries(ALIASES)) values[name] ??= values[alias];
  for (const [name, [, fallback]] of Object.entries(OPTIONS)) values[name] ??= fallback;
  if (positionals.length > 1) throw new UsageError(`expected one module:app, got ${positionals.join(' ')}`);
  const number = (name, scale = 1) => {
    const value = Number(values[name]);
    if (values[name] === '' || !Number.isFinite(value) || value < 0) {
      throw new UsageError(`--${name}: expected a number, got '${values[name]}'`);
    }
    return Math.round(value * scale);
  };
  const oneOf = (name, ...allowed) => {
    if (!allowed.includes(values[name])) throw new UsageError(`--${name}: expected ${allowed.join(', ')}, got '${values[name]}'`);
    return values[name];
  };
  if ((values['ssl-key'] === undefined) !== (values['ssl-cert'] === undefined)) {
    throw new UsageError('--ssl-key and --ssl-cert go together');
  }
  const [target = 'main:app'] = positionals;
  return {
    help: values.help === true,
    target: values.factory && !target.endsWith('()') ? `${target}()` : target,
    host: values.host,
    port: number('port'),
    uds: values.uds,
    docroot: path.resolve(values.docroot),
    python: values.python,
    workers: Math.max(1, number('workers')),
    reload: values.reload === true,
    accessLog: values['no-access-log'] !== true,
    logLevel: oneOf('log-level', 'critical', 'error', 'warning', 'info', 'debug'),
    logFormat: oneOf('log-format', 'text', 'json'),
    key: values['ssl-key'],
    cert: values['ssl-cert'],
    keepAlive: number('timeout-keep-alive', 1000),
    maxRequests: number('max-requests'),
    maxRequestsJitter: number('max-requests-jitter'),
    shutdownTimeout: number('timeout-graceful-shutdown', 1000),
    handler: {
      rootPath: values['root-path'], lifespan: oneOf('lifespan', 'auto', 'on', 'off'), loop: values.loop,
      maxConcurrency: number('limit-concurrency'), maxMessageBytes: number('ws-max-size'),
      pingInterval: number('ws-ping-interval', 1000), pingTimeout: number('ws-ping-timeout', 1000),
    },
  };
}

/** @param {string[]} args */
async function serve(args) {
  const options = readArguments(args);
  if (options.help) {
    process.stdout.write(help());
    return;
  }
  const log = makeLog(options);
  if (options.reload && options.workers > 1) throw new UsageError('--reload is for one worker');
  if (options.workers > 1 && cluster.isPrimary) superviseWorkers(options, log);
  else await serveHere(options, log);
}

/** The server of this process, which is the only one or one of the workers. */
async function serveHere(options, log) {
  const { target, docroot, python, shutdownTimeout } = options;
  const handler = new PythonHandler({ target, docroot, python, shutdownTimeout, logger: log.python, ...options.handler });
  handler.on('error', (error) => log.error(error.stack));
  handler.on('warning', (error) => log.warning(`${error.code}: ${error.message}`));
  try {
    await handler.ready();
  } catch (error) {
    log.error(error.traceback ? `${error.message}\n${error.traceback}` : error.message);
    process.exitCode = STARTUP_FAILURE;
    await handler.close();
    if (cluster.isWorker) process.exit(STARTUP_FAILURE);
    return;
  }
  const listener = handler.listener();
  let stopping = false;
  const count = countRequests(options, () => stop('the maximum of requests'));
  const answer = (req, res) => {
    count(res);
    if (stopping) res.setHeader('connection', 'close');
    if (options.accessLog) log.access(req, res);
    listener(req, res);
  };
  const secure = options.key !== undefined;
  const server = secure
    ? https.createServer({ key: fs.readFileSync(options.key), cert: fs.readFileSync(options.cert) }, answer)
    : http.createServer(answer);
  server.keepAliveTimeout = options.keepAlive;
  handler.attach(server);
  await new Promise((resolve, reject) => {
    server.on('error', reject);
    if (options.uds) server.listen(options.uds, resolve);
    else server.listen(options.port, options.host, resolve);
  });
  log.info(`${target} on Python ${pythonInfo().version} (${pythonInfo().executable}), process ${process.pid}`);
  if (!cluster.isWorker) log.info(`Listening on ${addressOf(server, secure)} (CTRL+C to quit)`);
  const watcher = options.reload ? watch(docroot, handler, log) : undefined;

  async function stop(why) {
    if (stopping) return;
    stopping = true;
    log.info(`Stopping: ${why}`);
    watcher?.close();
    // Not that of http.Server, which would also cut connections whose first request is on its way.
    net.Server.prototype.close.call(server);
    await new Promise((resolve) => { setTimeout(resolve, LAST_REQUESTS); });
    server.closeIdleConnections();
    const report = await handler.close();
    server.closeAllConnections();
    if (report.cancelled > 0) log.warning(`${report.cancelled} requests were cut off`);
    if (cluster.isWorker) process.exit(0);
  }
  process.once('SIGTERM', () => stop('SIGTERM'));
  process.once('SIGINT', () => stop('SIGINT'));
  if (cluster.isWorker) process.on('message', (message) => { if (message === 'stop') stop('asked to'); });
}

/** Asks for a replacement of this worker once it has had its requests. */
function countRequests({ maxRequests, maxRequestsJitter }, stop) {
  if (maxRequests === 0) return () => {};
  let left = maxRequests + Math.floor(Math.random() * (maxRequestsJitter + 1));
  return (res) => {
    left -= 1;
    if (left > 0) return;
    res.setHeader('connection', 'close');
    if (left < 0) return;
    // The primary starts another worker first, and then asks this one to stop.
    if (cluster.isWorker) process.send('replace');
    else stop();
  };
}

function addressOf(server, secure) {
  const address = server.address();
  if (typeof address === 'string') return `unix socket ${address}`;
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `${secure ? 'https' : 'http'}://${host}:${address.port}`;
}

/** Loads the app anew a moment after the last change of a Python file. */
function watch(docroot, handler, log) {
  let timer;
  const reload = async () => {
    try {
      await handler.reload();
      log.info('Reloaded');
    } catch (error) {
      log.error(`The app was not reloaded, the one before serves on:\n${error.traceback ?? error.message}`);
    }
  };
  return fs.watch(docroot, { recursive: true }, (_event, file) => {
    if (!file?.endsWith('.py')) return;
    clearTimeout(timer);
    timer = setTimeout(reload, 100);
  });
}

module.exports = { serve };
