'use strict';

/** Flags of a request, as the addon takes them: see bridge/exchange.h (Ability) and node/request_reader.h. */

const { tlsExtension } = require('./tls');

const COMPLETE = 1;
const LATER = 2;
const SHIFT = 8;
const PATH_SEND = 1 << SHIFT;
const ZERO_COPY_SEND = 2 << SHIFT;
const TRAILERS = 4 << SHIFT;
const EARLY_HINT = 8 << SHIFT;
const PUSH = 16 << SHIFT;
const DEBUG = 32 << SHIFT;
const CONTINUE = 64 << SHIFT;
const CALL = 128 << SHIFT;
const WEB_SOCKET = 256 << SHIFT;
const LENT_BODY = 512 << SHIFT;

/** What a response of a Node server can do. @param {any} req @param {any} res */
function abilitiesOf(req, res) {
  let flags = PATH_SEND | ZERO_COPY_SEND;
  // HTTP/1.0 has neither interim responses nor a framing that ends before the connection does.
  if (req.httpVersionMajor > 1 || req.httpVersionMinor > 0) flags |= TRAILERS | EARLY_HINT;
  if (res.stream?.pushAllowed) flags |= PUSH;
  return flags;
}

/** JSON of the tls extension; undefined for a plain connection. @param {any} req */
function tlsOf(req) {
  if (req.httpVersionMajor === 1) return req.socket?.encrypted ? tlsExtension(req.socket, req.socket) : undefined;
  // The socket of an HTTP/2 session is a proxy that remembers nothing.
  const session = req.stream?.session;
  return session?.encrypted ? tlsExtension(session.socket, session) : undefined;
}

module.exports = { COMPLETE, LATER, TRAILERS, DEBUG, CONTINUE, CALL, WEB_SOCKET, LENT_BODY, abilitiesOf, tlsOf };
