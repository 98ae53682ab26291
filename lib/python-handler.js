'use strict';

const { AsyncResource } = require('node:async_hooks');
const { EventEmitter } = require('node:events');
const { Http2ServerRequest, Http2ServerResponse } = require('node:http2');
const path = require('node:path');
const { isMainThread } = require('node:worker_threads');

const { CALL, COMPLETE, DEBUG, TRAILERS } = require('./abilities');
const { attach } = require('./attach');
const binding = require('./binding');
const { encodeCall, readAnswer } = require('./calls');
const { PythonDispatcher } = require('./dispatcher');
const { create, fromFailure, tooLarge } = require('./errors');
const { fetchFrom } = require('./fetch');
const { serve } = require('./http');
const { Headers } = require('./headers');
const hub = require('./hub');
const { InProcessWebSocket } = require('./in-process-websocket');
const { findInterpreter, findInterpreterSync } = require('./interpreter');
const { writeRecord } = require('./logger');
const { readOptions, describe } = require('./options');
const { readRequest } = require('./request');
const { Response, WholeReceiver, StreamReceiver, flatHeaders } = require('./response');
const { WebSocketHost } = require('./websocket');

/** @type {import('./interpreter').Interpreter | undefined} the Python that this process runs */
let chosen;
/** The longest that the end of the process waits for apps. */
let exitTimeout = 0;

/** Milliseconds that dumpStacks() waits for Python's lock. */
const STACKS_PATIENCE = 250;

/** A function call travels as a request: see lib/python/node_asgi/calls.py. */
const CALL_REQUEST = { ...readRequest({ method: 'CALL', url: '/' }, undefined), abilities: CALL };

/** Starts Python with an interpreter, or attaches to the one that runs. */
function startRuntime(interpreter, options) {
  const failure = binding.startRuntime({
    libraries: interpreter.libpythonCandidates,
    version: interpreter.version,
    programName: interpreter.programName,
    packagePath: path.join(__dirname, 'python'),
    nativeSymbols: options.nativeSymbols,
    loop: options.loop,
  });
  if (failure) throw fromFailure(failure);
  chosen ??= interpreter;
  exitTimeout = Math.max(exitTimeout, options.shutdownTimeout);
  stopAtExit();
}

/** process.exit() and uncaught exceptions run no environment cleanup: apps are stopped from here. */
function stopAtExit() {
  const registered = Symbol.for('node-asgi.exit');
  if (!isMainThread || process[registered]) return;
  Object.defineProperty(process, registered, { value: true });
  process.on('exit', () => binding.stopRuntime(exitTimeout));
}

/**
 * What is known of the Python that this process runs.
 * @returns {object}
 */
function pythonInfo() {
  if (!chosen) {
    throw create('ERR_PYTHON_NOT_FOUND', 'no Python runs in this process yet: await ready() of a PythonHandler first');
  }
  const { version, executable, prefix, basePrefix, isVenv, source, chosenBecause, rejected } = chosen;
  const { library } = binding.runtimeInfo();
  return { version, executable, prefix, basePrefix, isVenv, libpython: library, source, chosenBecause, rejected };
}

/**
 * Hosts one Python ASGI app in this process.
 *
 * The constructor starts to find Python, to import the app and to run its lifespan startup, in the background.
 * Requests wait until that is done.
 */
class PythonHandler extends EventEmitter {
  #options;
  #id;
  /** @type {any} the addon's handler, once Python has been found */
  #native;
  #abilities;
  /** @type {WebSocketHost | undefined} */
  #webSockets;
  /** @type {Promise<void> | undefined} */
  #beginning;
  /** @type {Promise<string> | undefined} */
  #loaded;
  /** @type {Promise<void>} */
  #reloading = Promise.resolve();
  /** What apps have counted that a reload has replaced. */
  #past = { total: 0, failed: 0 };
  /** @type {Promise<object> | undefined} */
  #closing;
  /** @type {import('./http').HttpOwner} */
  #owner;

  /** @param {Record<string, unknown>} [options] see README.md */
  constructor(options) {
    super();
    this.#options = readOptions(options);
    this.#abilities = this.#options.testing ? TRAILERS | DEBUG : TRAILERS;
    this.#id = hub.addHandler((level, error) => this.#notice(level, error));
    const handler = this;
    this.#owner = {
      options: this.#options,
      get native() {
        return handler.#native;
      },
      extraScope: this.#options.scope && JSON.stringify(this.#options.scope),
      bytesIn: 0,
      bytesOut: 0,
      report: (error, level = 'error') => this.#notice(level, error),
      begin: () => this.#begin(),
    };
    // Whoever asks for ready() or sends a request hears of a failure.
    this.#begin().catch(() => {});
  }

  get docroot() {
    return this.#options.docroot;
  }

  get target() {
    return this.#options.target;
  }

  /**
   * Ends once the app serves.
   * @returns {Promise<object>} what pythonInfo() tells. Rejects with what went wrong.
   */
  async ready() {
    hub.hold();
    try {
      await this.#begin();
      await this.#loaded;
      return pythonInfo();
    } finally {
      hub.release();
    }
  }

  /**
   * @param {any} request
   * @param {{signal?: AbortSignal, scope?: object}} [init]
   * @returns {Promise<Response>} with the whole body. Rejects with a PythonError when the app raises.
   */
  handleRequest(request, init) {
    return this.#request(request, init, WholeReceiver, false);
  }

  /**
   * @param {any} request
   * @param {{signal?: AbortSignal, scope?: object, duplex?: boolean}} [init] duplex: the request body is written to
   *   the returned stream
   * @returns {Promise<import('./response').ResponseStream>} once the response has started
   */
  handleStream(request, init) {
    return this.#request(request, init, StreamReceiver, init?.duplex === true);
  }

  /**
   * Blocks this thread until the app has answered. For scripts: a server would stand still meanwhile.
   * @param {any} request its body must be there as a whole: no stream
   * @param {{timeout?: number}} [init] timeout in milliseconds; 0, the default, waits for ever
   * @returns {Response}
   */
  handleRequestSync(request, init = {}) {
    const timeout = init.timeout ?? 0;
    if (!Number.isSafeInteger(timeout) || timeout < 0) {
      throw create('ERR_ASGI_OPTION', `timeout: expected milliseconds, got ${describe(timeout)}`);
    }
    if (this.#closing) throw closed();
    const { head, body, source, scope } = readRequest(request, this.#options.rootPath);
    if (source) {
      throw create('ERR_ASGI_REQUEST', 'body: expected a string or bytes for handleRequestSync(), got a stream');
    }
    this.#checkSize(body);
    if (!this.#native) this.#load(findInterpreterSync(this.#options));
    const answer = this.#native.startSync(head, body, COMPLETE, this.#extraScope(scope), undefined, timeout);
    if (!Array.isArray(answer)) throw fromFailure(answer);
    return Response.fromNative(answer[0], flatHeaders(answer[1]).length > 0 ? answer[1] : '', answer[2]);
  }

  /**
   * As the global fetch(), answered by the app without a socket.
   * @param {string | URL | globalThis.Request} input a path, or an absolute URL
   * @param {globalThis.RequestInit} [init]
   * @returns {Promise<globalThis.Response>} with a streaming body
   */
  fetch(input, init) {
    return fetchFrom(this, input, init);
  }

  /**
   * For undici and for `fetch(url, { dispatcher })`: requests of theirs reach the app without a socket.
   * @returns {PythonDispatcher} one of its own for each call; closing it leaves the handler open
   */
  dispatcher() {
    return new PythonDispatcher(this);
  }

  /**
   * Wires what a server does beside its requests: WebSockets go to the app, and `Expect: 100-continue` is answered
   * once the app asks for the body. The requests themselves go wherever the server sends them.
   * @param {import('node:http').Server} server a node:http, node:https or node:http2 server
   * @param {{path?: string}} [options] path: only WebSockets at or below it, which becomes their root_path
   */
  attach(server, { path: prefix = '' } = {}) {
    attach(server, prefix, {
      upgrade: (req, socket, head, rootPath) => this.upgrade(req, socket, head, { rootPath }),
      connect: (req, res, rootPath) => this.#connect(req, res, rootPath),
    });
    return this;
  }

  /**
   * For the `upgrade` event of a node:http or node:https server.
   * @param {import('node:http').IncomingMessage} req
   * @param {import('node:net').Socket} socket
   * @param {Buffer} head
   * @param {{rootPath?: string}} [options]
   */
  upgrade(req, socket, head, { rootPath } = {}) {
    this.#webSockets ??= new WebSocketHost(this.#owner);
    this.#webSockets.upgrade(req, socket, head, rootPath);
  }

  /**
   * Calls any Python function: a coroutine function on the event loop, another in its thread pool.
   * @param {string} target 'module:function', dotted names allowed; `docroot` is on sys.path
   * @param {...unknown} values the arguments: JSON-like values, Buffers as bytes. A last one that is an AbortSignal
   *   is not an argument: it ends the call, and cancels the coroutine
   * @returns {Promise<any>} the result, bytes as Buffers; an async iterable when the function is a generator. Rejects
   *   with a PythonError when it raises
   */
  async call(target, ...values) {
    if (typeof target !== 'string') {
      throw create('ERR_ASGI_TARGET', `call(): expected 'module:function', got ${describe(target)}`);
    }
    const signal = values.at(-1) instanceof AbortSignal ? values.pop() : undefined;
    const read = { ...CALL_REQUEST, body: encodeCall(target, values) };
    return readAnswer(await this.#run(read, { signal }, StreamReceiver, false));
  }

  /**
   * A WebSocket conversation with the app, without a socket.
   * @param {string | URL | {url: string, protocols?: string | string[], headers?: any, rootPath?: string, scope?: object}} request
   * @returns {InProcessWebSocket} with the WHATWG WebSocket interface
   */
  webSocket(request) {
    if (this.#closing) throw closed();
    const given = typeof request === 'string' || request instanceof URL ? { url: request } : request;
    const { protocols = [], ...init } = given ?? {};
    const url = String(init.url).replace(/^ws(s?):/, 'http$1:');
    const headers = new Headers(init.headers);
    const offered = [protocols].flat();
    if (offered.length > 0) headers.add('sec-websocket-protocol', offered.join(', '));
    const read = readRequest({ ...init, url, headers, method: 'GET', body: undefined }, this.#options.rootPath);
    const socket = new InProcessWebSocket(this.#owner, String(init.url));
    const start = () => socket.start(this.#native, { head: read.head, extra: this.#extraScope(read.scope) });
    hub.hold();
    // Later in any case: the caller gets to listen first.
    this.#begin().then(start).catch((error) => socket.refuse(error)).finally(() => hub.release());
    return socket;
  }

  /** A listener for the `request` event of node:http, node:https and node:http2 servers, and for node:http2's `stream`. */
  listener() {
    return (req, res, _flags, rawHeaders) => {
      if (isHttp2Stream(req)) this.#serveStream(req, res, rawHeaders);
      else serve(this.#owner, req, res);
    };
  }

  /** As Node's own compatibility layer does it. */
  #serveStream(stream, headers, rawHeaders) {
    const req = new Http2ServerRequest(stream, headers, undefined, rawHeaders);
    const res = new Http2ServerResponse(stream);
    if (req.method !== 'CONNECT') serve(this.#owner, req, res);
    else if (headers[':protocol'] === 'websocket') this.#connect(req, res);
    else stream.respond({ ':status': 405 }, { endStream: true });
  }

  #connect(req, res, rootPath) {
    this.#webSockets ??= new WebSocketHost(this.#owner);
    this.#webSockets.connect(req, res, rootPath);
  }

  /**
   * Middleware for Express, Connect and their kin.
   * @param {{fallthrough?: boolean}} [options] fallthrough: a 404 of the app becomes a call of next()
   */
  middleware({ fallthrough = false } = {}) {
    // Bound: next() goes on in the async context that it was given in.
    return (req, res, next) => serve(this.#owner, req, res, fallthrough ? AsyncResource.bind(next) : undefined);
  }

  /**
   * Imports the app anew beside the one that serves, runs its startup, and lets it take over. The old one's requests end
   * as on close().
   * @returns {Promise<void>} rejects with what went wrong: the old app serves on then
   */
  reload() {
    if (this.#closing) return Promise.reject(closed());
    this.#reloading = this.#reloading.catch(() => {}).then(() => this.#reload());
    return this.#reloading;
  }

  async #reload() {
    hub.hold();
    try {
      await this.#begin();
      const next = this.#makeNative(true);
      try {
        await hub.call((token) => next.load(token));
        if (this.#closing) throw closed();
      } catch (error) {
        await hub.call((token) => next.stop(token, this.#options.shutdownTimeout));
        throw error;
      }
      const old = this.#native;
      this.#native = next;
      this.#loaded = Promise.resolve('');
      await hub.call((token) => old.stop(token, this.#options.shutdownTimeout));
      const { total, failed } = old.stats();
      this.#past.total += total;
      this.#past.failed += failed;
    } finally {
      hub.release();
    }
  }

  /**
   * What every Python thread is doing, also while the app blocks the event loop.
   * @returns {string} their stacks. Blocks this thread, for 250 ms at most: its answer must come from Python, except
   *   when a thread does not let go of Python's lock for so long
   */
  dumpStacks() {
    return binding.dumpStacks(STACKS_PATIENCE);
  }

  /**
   * Takes no more requests, lets those in flight end, and runs the app's lifespan shutdown.
   * @param {{timeout?: number}} [options] timeout in milliseconds for all of it; default: option shutdownTimeout
   * @returns {Promise<object>} a report. A second call returns the same promise.
   */
  close({ timeout = this.#options.shutdownTimeout } = {}) {
    this.#closing ??= this.#close(timeout);
    return this.#closing;
  }

  async #close(timeout) {
    hub.hold();
    try {
      await this.#begin().catch(() => {});
      await this.#reloading.catch(() => {});
      if (!this.#native) return { drained: 0, cancelled: 0, timedOut: false, lifespan: 'unsupported' };
      return JSON.parse(await hub.call((token) => this.#native.stop(token, timeout)));
    } finally {
      hub.removeHandler(this.#id);
      hub.release();
    }
  }

  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    return this.close();
  }

  /** Counters of this handler, and of the process where they are shared. */
  stats() {
    const now = this.#native?.stats() ?? { total: 0, failed: 0, inFlight: 0 };
    const [total, failed] = [now.total + this.#past.total, now.failed + this.#past.failed];
    const { inFlight } = now;
    const { bytesIn, bytesOut } = this.#owner;
    const { wakeups: python, loopLag, gilOnJsThread } = binding.runtimeInfo();
    const wakeups = { python, node: hub.mailbox.wakeups() };
    return { inFlight, total, failed, bytesIn, bytesOut, wakeups, loopLag, gilOnJsThread };
  }

  /** Finds Python and starts to load the app; once. */
  #begin() {
    this.#beginning ??= this.#find().then((interpreter) => this.#load(interpreter));
    return this.#beginning;
  }

  /** Only an explicit choice is binding: otherwise the Python that already runs is the one. */
  async #find() {
    return this.#isExplicit() || !chosen ? findInterpreter(this.#options) : chosen;
  }

  #isExplicit() {
    return Boolean(this.#options.python ?? process.env.NODE_ASGI_PYTHON);
  }

  #load(interpreter) {
    if (this.#native) return; // handleRequestSync() was faster
    // Another handler may have started Python while this one was looking for it.
    startRuntime(this.#isExplicit() ? interpreter : chosen ?? interpreter, this.#options);
    hub.spin(this.#id, this.#options.spin);
    this.#native = this.#makeNative(false);
    this.#loaded = hub.call((token) => this.#native.load(token));
    this.#loaded.catch(() => {});
  }

  /** @param {boolean} fresh whether the modules of docroot are imported anew */
  #makeNative(fresh) {
    const { target, docroot, lifespan, specVersion, highWaterMark, cancelOnDisconnect } = this.#options;
    const { maxConcurrency, startTimeout, responseTimeout, logger } = this.#options;
    return new binding.PythonHandler(hub.mailbox, {
      id: this.#id, target, docroot, fresh, logs: logger !== undefined, lifespan, specVersion, highWaterMark,
      cancelOnDisconnect, maxConcurrency, startTimeout, responseTimeout,
    });
  }

  /** @param {typeof WholeReceiver} Receiver @param {boolean} duplex whether the caller writes the request body */
  #request(request, init, Receiver, duplex) {
    let read;
    try {
      read = readRequest(request, this.#options.rootPath);
      this.#checkSize(read.body);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#run(read, init, Receiver, duplex);
  }

  #run(read, init, Receiver, duplex) {
    return new Promise((resolve, reject) => {
      if (this.#closing) throw closed();
      const signal = init?.signal;
      signal?.throwIfAborted();
      const receiver = new Receiver(resolve, reject, this.#options.highWaterMark, this.#owner, duplex);
      if (signal) receiver.abortBy(signal);
      const scope = init?.scope ?? read.scope;
      if (this.#native) this.#start(read, scope, receiver, duplex);
      else this.#startLater(read, scope, receiver, duplex, signal);
    });
  }

  /** Once the app is there. */
  #startLater(read, scope, receiver, duplex, signal) {
    hub.hold();
    this.#begin().then(() => {
      if (!signal?.aborted) this.#start(read, scope, receiver, duplex);
    }).catch((error) => receiver.onFailed(error)).finally(() => hub.release());
  }

  #start({ head, body, source, abilities = this.#abilities }, scope, receiver, duplex) {
    const complete = source === undefined && !duplex;
    try {
      hub.start(this.#native, { head, body, complete, abilities, extra: this.#extraScope(scope) }, receiver);
    } catch (error) {
      receiver.onFailed(error);
      return;
    }
    if (body) receiver.countSent(body.length);
    if (source) this.#feed(source, receiver);
  }

  /** Reads a body from wherever it comes, as fast as the app takes it. */
  async #feed(source, receiver) {
    const { maxBodyBytes } = this.#options;
    let received = 0;
    try {
      // An app may answer before it has read everything: the source is then left alone, because destroying the
      // request of a server would take the connection with it.
      const pieces = typeof source.iterator === 'function' ? source.iterator({ destroyOnReturn: false }) : source;
      for await (const piece of pieces) {
        const chunk = typeof piece === 'string' ? Buffer.from(piece) : piece;
        if (!(chunk instanceof Uint8Array)) {
          throw create('ERR_ASGI_REQUEST', `body: expected chunks of bytes or text, got ${describe(chunk)}`);
        }
        received += chunk.length;
        if (maxBodyBytes > 0 && received > maxBodyBytes) throw tooLarge(maxBodyBytes);
        if (receiver.slot < 0) {
          source.resume?.();
          return;
        }
        await new Promise((done) => receiver.write(chunk, done));
      }
      receiver.endBody();
    } catch (error) {
      receiver.abort(error);
    }
  }

  #checkSize(body) {
    const { maxBodyBytes } = this.#options;
    if (maxBodyBytes > 0 && body && body.length > maxBodyBytes) throw tooLarge(maxBodyBytes);
  }

  #extraScope(scope) {
    if (scope === undefined) return this.#owner.extraScope;
    return JSON.stringify({ ...this.#options.scope, ...scope });
  }

  #notice(level, error) {
    if (level === 'log') {
      writeRecord(this.#options.logger, error);
      return;
    }
    if (this.listenerCount(level) > 0) this.emit(level, error);
    else if (level === 'error') console.error(escapeControls(error.stack));
    else console.warn(escapeControls(`${error.code}: ${error.message}`));
  }
}

/** Whether it is what the `stream` event of node:http2 brings. @param {any} value */
const isHttp2Stream = (value) => typeof value.respond === 'function' && typeof value.pushStream === 'function';

/** Text of a request must not steer the terminal that a log is read in. @param {string} text */
function escapeControls(text) {
  // eslint-disable-next-line no-control-regex -- all but tab and line feed
  return String(text).replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

function closed() {
  return create('ERR_ASGI_CLOSED', 'the handler is closed');
}

module.exports = { PythonHandler, pythonInfo };
