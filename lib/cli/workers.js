'use strict';

/** The primary of `node-asgi serve --workers N`: starts workers, replaces those that end, and stops them in order. */

const cluster = require('node:cluster');

const STARTUP_FAILURE = 3;
/** A worker that has crashed is started again after this many milliseconds, twice as many each time in a row. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 10_000;
/** A worker that has lived this long, in milliseconds, has not crashed in a row. */
const STABLE = 10_000;

/** @param {Record<string, any>} options of the command line @param {Record<string, any>} log */
function superviseWorkers(options, log) {
  let stopping = false;
  let pause = FIRST_PAUSE;
  let announced = false;

  const start = () => {
    const worker = cluster.fork();
    const began = Date.now();
    worker.on('message', (message) => {
      if (message === 'replace') replace(worker);
    });
    worker.on('exit', (code, signal) => {
      if (stopping || worker.replaced) {
        if (stopping && Object.keys(cluster.workers).length === 0) process.exit(process.exitCode);
        return;
      }
      if (code === STARTUP_FAILURE) {
        stop('the app does not start', STARTUP_FAILURE);
        return;
      }
      if (Date.now() - began > STABLE) pause = FIRST_PAUSE;
      log.error(`worker ${worker.process.pid} ended ${signal ? `by ${signal}` : `with ${code}`}; another starts in ${pause} ms`);
      setTimeout(() => { if (!stopping) start(); }, pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    });
    return worker;
  };

  /** A new worker serves before the old one stops. */
  const replace = (worker) => new Promise((resolve) => {
    if (stopping || worker.replaced) {
      resolve(undefined);
      return;
    }
    worker.replaced = true;
    const next = start();
    next.once('listening', () => {
      worker.once('exit', resolve);
      worker.send('stop');
    });
    next.once('exit', resolve);
  });

  function stop(why, code = 0) {
    if (stopping) return;
    stopping = true;
    process.exitCode = code;
    log.info(`Stopping ${Object.keys(cluster.workers).length} workers: ${why}`);
    if (Object.keys(cluster.workers).length === 0) process.exit(code);
    for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGTERM');
    // Python that does not let go is not waited for longer than the workers were given.
    setTimeout(() => {
      for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGKILL');
    }, options.shutdownTimeout + 2000).unref();
  }

  cluster.on('listening', (_worker, { address, port }) => {
    if (announced) return;
    announced = true;
    log.info(`Listening on ${options.uds ?? `${options.key ? 'https' : 'http'}://${address}:${port}`} with ${options.workers} workers (CTRL+C to quit)`);
  });
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  process.on('SIGHUP', async () => {
    log.info('Replacing the workers one by one');
    for (const worker of Object.values(cluster.workers)) await replace(worker);
    log.info('Replaced');
  });
  for (let i = 0; i < options.workers; i += 1) start();
}

module.exports = { superviseWorkers };
