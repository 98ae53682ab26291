'use strict';

/** What `node-asgi serve` prints: lines as uvicorn's, or JSON. */

const { STATUS_CODES } = require('node:http');

const LEVELS = ['debug', 'info', 'warning', 'error', 'critical'];

/** Text of a request must not steer a terminal. @param {string} text */
// eslint-disable-next-line no-control-regex -- what is escaped
const escapeControls = (text) => text.replace(/[\x00-\x1f\x7f-\x9f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);

/** @param {{logLevel: string, logFormat: string}} options */
function makeLog({ logLevel, logFormat }) {
  const least = LEVELS.indexOf(logLevel);
  const write = (level, message, fields) => {
    if (LEVELS.indexOf(level) < least) return;
    if (logFormat === 'json') {
      process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), level, message, ...fields })}\n`);
    } else {
      const more = fields?.exception ? `\n${fields.exception}` : '';
      process.stdout.write(`${`${level.toUpperCase()}:`.padEnd(9)} ${message}${more}\n`);
    }
  };
  const log = Object.fromEntries(LEVELS.map((level) => [level, (message, fields) => write(level, message, fields)]));
  log.access = (req, res) => {
    const began = performance.now();
    res.on('close', () => {
      const client = req.socket?.remoteAddress ? `${req.socket.remoteAddress}:${req.socket.remotePort}` : '-';
      const status = res.headersSent ? res.statusCode : 499; // the client left before there was an answer
      const target = escapeControls(req.url);
      write('info', `${client} - "${req.method} ${target} HTTP/${req.httpVersion}" ${status} ${STATUS_CODES[status] ?? ''}`.trimEnd(),
        logFormat === 'json'
          ? { client, method: req.method, url: target, status, milliseconds: Math.round((performance.now() - began) * 100) / 100 }
          : undefined);
    });
  };
  /** For the option `logger`: records of Python's logging. */
  log.python = Object.fromEntries([['debug', 'debug'], ['info', 'info'], ['warn', 'warning'], ['error', 'error'], ['fatal', 'critical']]
    .map(([name, level]) => [name, (message, fields) => write(level, message, fields)]));
  return log;
}

module.exports = { makeLog };
