'use strict';

/** Validates and defaults the options of PythonHandler, once, at the door. */

const path = require('node:path');

const { create } = require('./errors');

/**
 * @param {string} name
 * @param {string} expected
 * @param {unknown} got
 */
function bad(name, expected, got) {
  return create('ERR_ASGI_OPTION', `option ${name}: expected ${expected}, got ${describe(got)}`);
}

/** @param {unknown} value */
function describe(value) {
  if (typeof value === 'string') return JSON.stringify(value);
  if (value === null || typeof value !== 'object') return String(value);
  return Array.isArray(value) ? 'an array' : 'an object';
}

const text = (name, value) => {
  if (typeof value !== 'string' || value === '' || value.includes('\0')) throw bad(name, 'a non-empty string', value);
  return value;
};
const count = (name, value) => {
  if (!Number.isSafeInteger(value) || value < 0 || value > 0x7fffffff) {
    throw bad(name, 'a whole number from 0 to 2147483647', value);
  }
  return value;
};
const flag = (name, value) => {
  if (typeof value !== 'boolean') throw bad(name, 'true or false', value);
  return value;
};
const oneOf = (...allowed) => (name, value) => {
  if (!allowed.includes(value)) throw bad(name, allowed.map((one) => `'${one}'`).join(' or '), value);
  return value;
};
const rootPath = (name, value) => {
  if (typeof value !== 'string' || (value !== '' && !value.startsWith('/'))) {
    throw bad(name, "'' or a path that begins with '/'", value);
  }
  return value.replace(/\/+$/, '');
};
const cancelOnDisconnect = (name, value) => (value === false ? -1 : value === true ? 0 : count(name, value));
const logger = (name, value) => {
  const missing = ['debug', 'info', 'warn', 'error'].filter((level) => typeof value?.[level] !== 'function');
  if (missing.length > 0) throw bad(name, 'an object with the functions debug, info, warn and error', value);
  return value;
};
const scope = (name, value) => {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw bad(name, 'an object', value);
  return value;
};

/** name: [check, default]. A default that is a function is called. */
const table = {
  target: [text, 'main:app'],
  docroot: [(name, value) => path.resolve(text(name, value)), () => process.cwd()],
  python: [text, undefined],
  lifespan: [oneOf('auto', 'on', 'off'), 'auto'],
  rootPath: [rootPath, undefined],
  loop: [text, 'auto'],
  startTimeout: [count, 0],
  responseTimeout: [count, 0],
  shutdownTimeout: [count, 5000],
  maxConcurrency: [count, 0],
  maxBodyBytes: [count, 0],
  highWaterMark: [count, 262_144],
  cancelOnDisconnect: [cancelOnDisconnect, -1],
  scope: [scope, undefined],
  debug: [flag, () => process.env.NODE_ENV === 'development'],
  maxMessageBytes: [count, 16 * 1024 * 1024],
  pingInterval: [count, 20_000],
  pingTimeout: [count, 20_000],
  perMessageDeflate: [flag, false],
  logger: [logger, undefined],
  testing: [flag, false],
  spin: [(name, value) => {
    if (!Number.isSafeInteger(value) || value < 0 || value > 1000) throw bad(name, 'microseconds from 0 to 1000', value);
    return value;
  }, 0],
  nativeSymbols: [oneOf('auto', 'isolated', 'shared'), 'auto'],
  specVersion: [oneOf('2.5', '2.3'), '2.5'],
};

/**
 * @param {Record<string, unknown>} [given]
 * @returns {Record<string, any>} every option with its value
 */
function readOptions(given = {}) {
  if (given === null || typeof given !== 'object') throw bad('(all)', 'an object', given);
  const { appTarget, ...rest } = given;
  if (appTarget !== undefined) rest.target ??= appTarget;
  for (const name of Object.keys(rest)) {
    if (!Object.hasOwn(table, name)) {
      throw create('ERR_ASGI_OPTION', `unknown option ${name}: expected one of ${Object.keys(table).join(', ')}`);
    }
  }
  /** @type {Record<string, any>} */
  const options = {};
  for (const [name, [check, fallback]] of Object.entries(table)) {
    if (rest[name] !== undefined) options[name] = check(name, rest[name]);
    else options[name] = typeof fallback === 'function' ? fallback() : fallback;
  }
  return options;
}

module.exports = { readOptions, describe };
