'use strict';

/** The option `logger`: Python's logging in Node's. */

const { coreApps, eventually } = require('../helpers/core-apps');

const { open } = coreApps();

/** A logger that keeps what it is given. */
function keeper({ pino, levels = ['debug', 'info', 'warn', 'error', 'fatal'] }) {
  const lines = [];
  const logger = { lines };
  for (const level of levels) logger[level] = (...values) => lines.push([level, ...values]);
  if (pino) logger.child = () => logger;
  return logger;
}

test('records arrive in order, with level, name, extra, exception and time', async () => {
  const logger = keeper({ pino: true });
  const { handler } = open('logs', { logger });
  await handler.handleRequest({ url: '/' });
  await eventually(() => logger.lines.length === 6);
  const told = { logger: 'shop.orders', pythonTime: expect.any(Number) };
  expect(logger.lines).toEqual([
    ['debug', told, 'looking at it'],
    ['info', { ...told, order: 7, items: ['a', 'b'] }, 'order 7'],
    ['warn', { ...told, what: "<class 'object'>" }, 'slow'],
    ['error', { ...told, exception: expect.stringMatching(/^Traceback[\s\S]*KeyError: 'missing'$/) }, 'failed'],
    ['fatal', told, 'out of paper'],
    ['info', told, 'from a thread'],
  ]);
  expect(Math.abs(logger.lines[0][1].pythonTime - Date.now())).toBeLessThan(10_000);
});

test('a console-like logger is given the message first, and has no fatal()', async () => {
  const logger = keeper({ pino: false, levels: ['debug', 'info', 'warn', 'error'] });
  const { handler } = open('logs', { logger });
  await handler.handleRequest({ url: '/' });
  await eventually(() => logger.lines.length === 6);
  expect(logger.lines[1]).toEqual(['info', 'shop.orders: order 7', { logger: 'shop.orders', order: 7, items: ['a', 'b'], pythonTime: expect.any(Number) }]);
  expect(logger.lines[4].slice(0, 2)).toEqual(['error', 'shop.orders: out of paper']);
});

test('after close() the records go to standard error again, and a reload does not lose them', async () => {
  const logger = keeper({ pino: true });
  const { handler } = open('logs', { logger });
  await handler.handleRequest({ url: '/' });
  await handler.reload();
  await handler.handleRequest({ url: '/' });
  await eventually(() => logger.lines.length === 12);
  await handler.close();
  const other = open('logs');
  await other.handler.handleRequest({ url: '/' });
  expect(logger.lines).toHaveLength(12);
  expect(await other.handler.call('logs:handlers')).toEqual([]);
});

test.each([[{}], [{ info() {} }], ['console'], [null]])('%j is no logger', (logger) => {
  expect(() => open('hello', { logger })).toThrow(/option logger: expected an object with the functions debug, info, warn and error/);
});
