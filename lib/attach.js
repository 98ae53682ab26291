'use strict';

/** What a handler does for a server beside its requests: WebSockets, 100-continue, and protocols that nobody speaks. */

const tls = require('node:tls');

const kRoots = Symbol('node-asgi.roots');
const kContinue = Symbol('node-asgi.continue');

/**
 * @param {any} server a node:http, node:https or node:http2 server
 * @param {string} path where the app's WebSockets are
 * @param {{upgrade: (req: any, socket: any, head: Buffer, root: string) => void,
 *   connect: (req: any, res: any, root: string) => void}} handler
 */
function attach(server, path, { upgrade, connect }) {
  if (server.listenerCount('checkContinue') === 0) server.on('checkContinue', continueWhenRead(server));
  const root = path.replace(/\/+$/, '');
  const roots = (server[kRoots] ??= []);
  roots.push(root);
  server.on('upgrade', (req, socket, head) => {
    const toWebSocket = /^websocket$/i.test(req.headers.upgrade);
    if (toWebSocket && isBelow(req.url, root)) {
      upgrade(req, socket, head, root);
      return;
    }
    // The last handler of the server answers for all of them, unless the program has listeners of its own.
    if (roots.at(-1) !== root || server.listenerCount('upgrade') !== roots.length) return;
    if (!toWebSocket) serveWithoutUpgrade(server, req, socket, head);
    else if (!roots.some((one) => isBelow(req.url, one))) socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n');
  });
  // Extended CONNECT (RFC 8441), for a server with the setting enableConnectProtocol.
  server.on('connect', (req, res) => {
    if (req.headers?.[':protocol'] === 'websocket' && isBelow(req.url, root)) connect(req, res, root);
  });
}

/** Whether a request target is at or below a path. @param {string} target @param {string} root without a slash at its end */
function isBelow(target, root) {
  return target.startsWith(root) && (root === '' || [undefined, '/', '?'].includes(target[root.length]));
}

/**
 * A server may ignore Upgrade (RFC 9110 section 7.8), and Node does until somebody listens for it: then it gives up the
 * connection, which gets back here, with the same request that no longer asks. `curl --http2` sends such requests.
 * @param {any} server
 * @param {import('node:http').IncomingMessage} req
 * @param {import('node:net').Socket} socket
 * @param {Buffer} head what came after the fields
 */
function serveWithoutUpgrade(server, req, socket, head) {
  const lines = [`${req.method} ${req.url} HTTP/${req.httpVersion}`];
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i].toLowerCase();
    let value = req.rawHeaders[i + 1];
    if (name === 'upgrade') continue;
    if (name === 'connection') {
      value = value.split(',').filter((token) => token.trim().toLowerCase() !== 'upgrade').join(',');
      if (value === '') continue;
    }
    lines.push(`${req.rawHeaders[i]}: ${value}`);
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit(server instanceof tls.Server ? 'secureConnection' : 'connection', socket);
}

/**
 * A `checkContinue` listener: the client is told to send its body once somebody reads it, the app or any other
 * handler of the server's `request` event, and never when it is answered without.
 * @param {import('node:http').Server} server
 */
function continueWhenRead(server) {
  return (req, res) => {
    const read = req._read;
    req[kContinue] = () => {
      req._read = read;
      req[kContinue] = undefined;
      if (!res.headersSent && !res.destroyed) res.writeContinue();
    };
    req._read = function readAfterContinue(size) {
      req[kContinue]?.();
      return read.call(req, size);
    };
    server.emit('request', req, res);
  };
}

/** Whether a client waits for the 100 before it sends its body. @param {any} req */
const awaitsContinue = (req) => req[kContinue] !== undefined;

/** Tells a client that waits to send its body. @param {any} req */
const writeContinue = (req) => req[kContinue]?.();

module.exports = { attach, awaitsContinue, writeContinue };
