'use strict';

/** Writes the records of Python's logging to the option `logger`. */

/** The methods for Python's levels, the highest first. */
const LEVELS = [[50, 'fatal'], [40, 'error'], [30, 'warn'], [20, 'info'], [0, 'debug']];

/**
 * @param {any} logger pino-like, with child() and (fields, message), or console-like, with (message, fields)
 * @param {{level: number, name: string, message: string, time: number, extra: object, exception?: string}} record as
 *   lib/python/node_asgi/logs.py sends it
 */
function writeRecord(logger, { level, name, message, time, extra, exception }) {
  const [, method] = LEVELS.find(([least]) => level >= least) ?? LEVELS.at(-1);
  const write = typeof logger[method] === 'function' ? method : 'error';
  const fields = { ...extra, logger: name, pythonTime: time };
  if (exception !== undefined) fields.exception = exception;
  if (typeof logger.child === 'function') logger[write](fields, message);
  else logger[write](`${name}: ${message}`, fields);
}

module.exports = { writeRecord };
