/// <reference types="node" />

import type { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';

/** Options of PythonHandler. Anything else than these names and values throws `ERR_ASGI_OPTION`. */
export interface PythonHandlerOptions {
  /** The app as `module:attribute`; attributes may be dotted, and `module:factory()` calls a factory. Default `'main:app'`. */
  target?: string;
  /** Another name for `target`. */
  appTarget?: string;
  /** The folder that comes first on Python's `sys.path`. Default `process.cwd()`. */
  docroot?: string;
  /** The interpreter or venv folder to use, and no other. Default: searched, see README.md. */
  python?: string;
  /** Whether the app has a lifespan; `'auto'` serves an app that raises before it has received anything. Default `'auto'`. */
  lifespan?: 'auto' | 'on' | 'off';
  /** ASGI's `root_path`. Default: where Express has mounted the middleware, otherwise `''`. */
  rootPath?: string;
  /** The event loop: `'asyncio'`, `'uvloop'`, or `'module:factory'`; `'auto'` is uvloop when it is installed. Default `'auto'`. */
  loop?: 'auto' | 'asyncio' | 'uvloop' | (string & {});
  /** Milliseconds for the app to start its response, then 504 and its task is cancelled; 0 is no limit. Default `0`. */
  startTimeout?: number;
  /** Milliseconds for the app to finish its response, then its task is cancelled; 0 is no limit. Default `0`. */
  responseTimeout?: number;
  /** Milliseconds for the whole of `close()`. Default `5000`. */
  shutdownTimeout?: number;
  /** Requests at the same time; more are answered 503 at once; 0 is no limit. Default `0`. */
  maxConcurrency?: number;
  /** Bytes of a request body; more is answered 413; 0 is no limit. Default `0`. */
  maxBodyBytes?: number;
  /** Bytes under way per request and direction before the sender has to wait. Default `262144`. */
  highWaterMark?: number;
  /** Milliseconds after which the task of a client that has left is cancelled; `true` is at once. Default `false`. */
  cancelOnDisconnect?: boolean | number;
  /** What the app finds as `scope["extensions"]["node"]`, as JSON carries it. Default: none. */
  scope?: Record<string, unknown>;
  /** Whether a 500 shows the traceback to the client. Default `process.env.NODE_ENV === 'development'`. */
  debug?: boolean;
  /**
   * Microseconds, up to 1000, that both threads look for work before they sleep. Shortens the way of a request that is
   * alone, for processor time: docs/performance.md. Of several handlers the longest counts. Default `0`: they sleep at once.
   */
  spin?: number;
  /** Whether Python's extension modules keep to their own libraries instead of those inside Node. Default `'auto'`. */
  nativeSymbols?: 'auto' | 'isolated' | 'shared';
  /** The ASGI HTTP version told to the app; with `'2.3'`, `send()` does nothing once the client has left, instead of raising. Default `'2.5'`. */
  specVersion?: '2.5' | '2.3';
  /** The longest WebSocket message that a client may send, in bytes; 0 for no limit. Default 16 MiB (16777216). */
  maxMessageBytes?: number;
  /** Milliseconds between the pings that find dead WebSocket clients; 0 for none. Default 20000. */
  pingInterval?: number;
  /** Milliseconds that a WebSocket client has to answer a ping. Default 20000. */
  pingTimeout?: number;
  /** Compresses WebSocket messages (RFC 7692) for clients that offer it. Default false. */
  perMessageDeflate?: boolean;
  /** Gets the records of Python's `logging`, as pino, console and their kin take them. Default: none. */
  logger?: Logger;
  /** Offers the extension `http.response.debug`, whose info becomes `Response.debug`; for tests. Default false. */
  testing?: boolean;
}

/** What the option `logger` takes: a pino-like logger is given `(fields, message)`, a console-like one `(message, fields)`. */
export interface Logger {
  debug(...values: any[]): void;
  info(...values: any[]): void;
  warn(...values: any[]): void;
  error(...values: any[]): void;
  /** For CRITICAL; `error()` where it is missing. */
  fatal?(...values: any[]): void;
  /** Tells a pino-like logger from a console-like one. */
  child?(...values: any[]): unknown;
}

/** What `Headers` is made of. */
export type HeadersInit =
  | Headers
  | Iterable<readonly [string, string]>
  | Readonly<Record<string, string | readonly string[] | undefined>>;

/** Header fields: names in any case, in order, repeated fields kept apart. */
export class Headers implements Iterable<[string, string]> {
  constructor(init?: HeadersInit | null);
  /** Number of different names. */
  readonly size: number;
  /** The last value. */
  get(name: string): string | undefined;
  /** Every value, in order. */
  getAll(name: string): string[];
  /** Every value, joined by commas. */
  getLine(name: string): string | undefined;
  /** Every value of `set-cookie`. */
  getSetCookie(): string[];
  has(name: string): boolean;
  /** Replaces every value of a name. */
  set(name: string, value: string | readonly string[]): this;
  /** Adds a field beside those of the same name. */
  add(name: string, value: string): this;
  /** Removes every value of a name; tells whether there was one. */
  delete(name: string): boolean;
  clear(): void;
  /** Each field by itself: lower-cased name and value. */
  entries(): IterableIterator<[string, string]>;
  /** Each name once. */
  keys(): IterableIterator<string>;
  /** The comma-joined values of each name. */
  values(): IterableIterator<string>;
  forEach(callback: (value: string, name: string, headers: Headers) => void): void;
  [Symbol.iterator](): IterableIterator<[string, string]>;
  /** An object whose repeated names are arrays: what `res.writeHead()` and Fastify's `reply.headers()` take. */
  toJSON(): Record<string, string | string[]>;
}

/** A request body that is there as a whole. */
export type WholeBody = string | NodeJS.ArrayBufferView | ArrayBuffer;

/** A request body: whole, or as a stream. */
export type Body = WholeBody | AsyncIterable<string | Uint8Array> | ReadableStream<Uint8Array>;

/** A request in its parts. */
export interface RequestInit {
  /** Default `'GET'`. */
  method?: string;
  /** A path with its query, or an absolute URL. */
  url: string | URL;
  headers?: HeadersInit | null;
  body?: Body | null;
  /** The connection that tells the app's `client`, `server` and `scheme`. */
  socket?: object;
  /** Default: option `rootPath`. */
  rootPath?: string;
  /** Added to option `scope`. */
  scope?: Record<string, unknown>;
}

/** A request to hand to PythonHandler; a plain object with the same members is as good. */
export class Request {
  constructor(init: RequestInit);
  method: string;
  url: string | URL;
  headers: Headers;
  body: Body | null;
  socket: object | undefined;
  rootPath: string | undefined;
  scope: Record<string, unknown> | undefined;
  /** The path without the query. */
  readonly path: string;
  toJSON(): { method: string; url: string | URL; headers: Record<string, string | string[]> };
}

/** Whatever describes a request: parts, what Node's servers, Express and Fastify (`request.raw`) give, or a web `Request`. */
export type RequestLike = Request | RequestInit | IncomingMessage | Http2ServerRequest | globalThis.Request;

/** A whole response. */
export class Response {
  constructor(init?: {
    status?: number;
    headers?: HeadersInit | null;
    body?: Buffer | string;
    log?: string;
    exception?: Error | string;
  });
  status: number;
  get headers(): Headers;
  set headers(value: HeadersInit);
  get body(): Buffer;
  set body(value: Buffer | string);
  /** Fields after the body. */
  trailers: Headers;
  /** What the app told a test through `http.response.debug` (option `testing`). */
  debug: Record<string, any> | undefined;
  log: string | undefined;
  exception: Error | string | undefined;
  /** The body as UTF-8 text. */
  text(): string;
  /** The body parsed as JSON. */
  json<T = any>(): T;
  toJSON(): { status: number; headers: Record<string, string | string[]>; body: string };
  /** Answers a Node request with this response. */
  send<R extends ServerResponse>(res: R): R;
}

/**
 * A response as it arrives: a stream of its body. When the app breaks off, the stream is destroyed with the PythonError.
 * With `duplex: true`, the request body is what is written to it.
 */
export class ResponseStream extends Duplex {
  private constructor();
  readonly status: number;
  readonly headers: Headers;
  /** Fields after the body; complete once the body has ended. */
  readonly trailers: Headers;
  /** What the app told a test through `http.response.debug` (option `testing`). */
  readonly debug: Record<string, any> | undefined;
  /** The next piece of the body; null at its end. */
  next(): Promise<Buffer | null>;
  /** Answers a Node request with this response. */
  send<R extends ServerResponse>(res: R): R;
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<Buffer>;

  /** For every piece of a body: bytes of the request that the app was handed so far, and of the response that came. */
  on(event: 'progress', listener: (progress: { sent: number; received: number }) => void): this;
  on(event: string | symbol, listener: (...args: any[]) => void): this;
}

/** Codes of errors that say something about Python. */
export type PythonErrorCode =
  | 'ERR_PYTHON_NOT_FOUND'
  | 'ERR_PYTHON_UNUSABLE'
  | 'ERR_PYTHON_NO_SHARED_LIBRARY'
  | 'ERR_PYTHON_LIBRARY'
  | 'ERR_PYTHON_MISMATCH'
  | 'ERR_PYTHON_START'
  | 'ERR_PYTHON_LOOP'
  | 'ERR_PYTHON_EXCEPTION'
  | 'ERR_PYTHON_UNHANDLED'
  | 'ERR_PYTHON_LOOP_BLOCKED'
  | 'ERR_PYTHON_SIGNAL_HANDLER';

/** Codes of errors that say something about the app, a request or an option. */
export type AsgiErrorCode =
  | 'ERR_ASGI_BINARY'
  | 'ERR_ASGI_OPTION'
  | 'ERR_ASGI_TARGET'
  | 'ERR_ASGI_MODULE_NOT_FOUND'
  | 'ERR_ASGI_MODULE_CLASH'
  | 'ERR_ASGI_APP_NOT_FOUND'
  | 'ERR_ASGI_STARTUP'
  | 'ERR_ASGI_RELOAD'
  | 'ERR_ASGI_LIFESPAN'
  | 'ERR_ASGI_REQUEST'
  | 'ERR_ASGI_BODY_CONSUMED'
  | 'ERR_ASGI_BODY_TOO_LARGE'
  | 'ERR_ASGI_MESSAGE_TOO_LARGE'
  | 'ERR_ASGI_WEBSOCKET_REFUSED'
  | 'ERR_ASGI_NO_RESPONSE'
  | 'ERR_ASGI_INCOMPLETE_RESPONSE'
  | 'ERR_ASGI_RETURN_VALUE'
  | 'ERR_ASGI_TIMEOUT'
  | 'ERR_ASGI_BUSY'
  | 'ERR_ASGI_CLOSED';

export type ErrorCode = PythonErrorCode | AsgiErrorCode;

/** Every code, the HTTP status that `listener()` answers with for it, and what it means. */
export const codes: Readonly<Record<ErrorCode, { readonly status: number; readonly about: string }>>;

/** An error of the library or of the app's Python. */
export class NodeAsgiError extends Error {
  protected constructor();
  readonly code: ErrorCode;
  /** The HTTP status that `listener()` answers with for this error. */
  readonly status: number;
}

/** One line of a Python traceback. */
export interface PythonFrame {
  file: string;
  line: number;
  function: string;
}

/** An exception that Python raised. */
export class PythonError extends NodeAsgiError {
  private constructor();
  /** The type, with its module unless that is `builtins`. */
  readonly pythonType: string;
  /** What `str()` of the exception says. */
  readonly pythonMessage: string;
  /** The traceback as Python prints it. */
  readonly traceback: string;
  /** The traceback's lines, outermost first. */
  readonly frames: PythonFrame[];
  /** The members of an ExceptionGroup. */
  readonly errors: PythonError[];
  /** `__cause__` or `__context__`. */
  readonly cause?: PythonError;
}

/** The Python that this process runs, and why it is this one. */
export interface PythonInfo {
  /** As `'3.11.2'`. */
  version: string;
  executable: string;
  prefix: string;
  basePrefix: string;
  isVenv: boolean;
  /** The shared library that was loaded. */
  libpython: string;
  source: 'option' | 'NODE_ASGI_PYTHON' | 'VIRTUAL_ENV' | 'venv' | 'CONDA_PREFIX' | 'PATH';
  chosenBecause: string;
  /** What was tried before, and why it was not taken. */
  rejected: { candidate: string; source: string; reason: string }[];
}

export interface HandlerStats {
  /** Requests that the app is working on. */
  inFlight: number;
  /** Requests that were handed to the app. */
  total: number;
  /** Of these, the ones that ended with an error. */
  failed: number;
  /** Bytes of request bodies that were handed to the app. */
  bytesIn: number;
  /** Bytes of response bodies that the app has sent. */
  bytesOut: number;
  /** How often either side has woken the other; of the whole process. */
  wakeups: { python: number; node: number };
  /** Milliseconds that Python's event loop took to answer its latest wake-up, or has not answered it: high while the app blocks the loop. */
  loopLag: number;
  /** How often the JavaScript thread has waited for Python's global lock: never. */
  gilOnJsThread: number;
}

export interface CloseReport {
  /** Requests that were under way and have ended by themselves. */
  drained: number;
  /** Requests that had to be cancelled. */
  cancelled: number;
  /** Whether the timeout passed. */
  timedOut: boolean;
  /** How lifespan shutdown went: `'complete'`, `'unsupported'`, `'timeout'`, or `'failed…'` with the reason. */
  lifespan: string;
}

/** Options of one request. */
export interface HandleInit {
  /** Gives the request up: the app sees its client leave. */
  signal?: AbortSignal;
  /** Added to option `scope`. */
  scope?: Record<string, unknown>;
}

/** For the event `request` of any server of Node, and for `stream` of node:http2. */
export interface Listener {
  (req: IncomingMessage | Http2ServerRequest, res: ServerResponse | Http2ServerResponse): void;
  (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number): void;
}

export type ConnectMiddleware = (req: IncomingMessage, res: ServerResponse, next: (error?: any) => void) => void;

export interface PythonHandlerEvents {
  /** An exception that no caller hears of. Without a listener it is printed. */
  error: [error: NodeAsgiError];
  /** Something that works, though not as the app may expect. Without a listener it is printed. */
  warning: [error: NodeAsgiError];
}

/** What `PythonHandler.webSocket()` returns: the WHATWG WebSocket interface. */
export interface InProcessWebSocket extends EventTarget {
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;
  readonly url: string;
  /** The subprotocol that the app has accepted; `''` for none. */
  readonly protocol: string;
  readonly extensions: string;
  readonly readyState: 0 | 1 | 2 | 3;
  /** What binary messages come as. Default `'blob'`. */
  binaryType: 'blob' | 'arraybuffer' | 'nodebuffer';
  /** Bytes that the app has not taken yet. */
  readonly bufferedAmount: number;
  /** Header fields of the app's `websocket.accept`. */
  readonly headers: [string, string][];
  onopen: ((event: Event) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  /** The event has the error that caused it. */
  onerror: ((event: Event & { error: Error; message: string }) => void) | null;
  onclose: ((event: Event & { code: number; reason: string; wasClean: boolean }) => void) | null;
  send(data: string | ArrayBufferLike | ArrayBufferView | Blob): void;
  close(code?: number, reason?: string): void;
}

/** What `PythonHandler.dispatcher()` returns: undici's Dispatcher, answered by the app. It has no sockets to upgrade or connect. */
export interface PythonDispatcher extends EventEmitter {
  readonly closed: boolean;
  readonly destroyed: boolean;
  /** As undici calls it, with handlers of undici 6, of undici 7 and of Node's own `fetch()`. */
  dispatch(options: object, handler: object): boolean;
  /** Takes no more requests and waits for those under way; the handler stays open. */
  close(): Promise<void>;
  close(callback: () => void): void;
  /** Takes no more requests and ends those under way with an error; the handler stays open. */
  destroy(error?: Error | null): Promise<void>;
  destroy(callback: () => void): void;
  destroy(error: Error | null, callback: () => void): void;
}

/** Hosts one Python ASGI app in this process. Apps of one process share one Python, each with its own handler. */
export class PythonHandler extends EventEmitter implements AsyncDisposable {
  /** Returns at once: Python, the app and its startup are loaded in the background, and requests wait for that. */
  constructor(options?: PythonHandlerOptions);
  readonly docroot: string;
  readonly target: string;
  /** Ends once the app serves; rejects with what went wrong. */
  ready(): Promise<PythonInfo>;
  /** Asks the app and collects its answer. Rejects with a PythonError when the app raises. */
  handleRequest(request: RequestLike, init?: HandleInit): Promise<Response>;
  /** Asks the app and ends once its response has started. `duplex`: the request body is written to the result. */
  handleStream(request: RequestLike, init?: HandleInit & { duplex?: boolean }): Promise<ResponseStream>;
  /** Blocks this thread until the app has answered: for scripts. The body has to be whole. `timeout` in milliseconds. */
  handleRequestSync(
    request: Request | (RequestInit & { body?: WholeBody | null }),
    init?: { timeout?: number },
  ): Response;
  /** As the global `fetch()`, answered by the app without a socket. A path is taken as one of `http://localhost`. */
  fetch(input: string | URL | globalThis.Request, init?: globalThis.RequestInit): Promise<globalThis.Response>;
  /** What undici calls a Dispatcher: `fetch(url, { dispatcher })` and `undici.request()` reach the app without a socket. */
  dispatcher(): PythonDispatcher;
  /**
   * Calls a Python function, `'module:function'`: a coroutine function on the event loop, another in the thread pool.
   * Values are JSON-like, with Buffers for bytes; a last argument that is an AbortSignal ends the call instead.
   * A generator becomes an async iterable. Rejects with a PythonError when the function raises.
   */
  call<T = any>(target: string, ...values: unknown[]): Promise<T>;
  /** A WebSocket conversation with the app, without a socket. */
  webSocket(
    request: string | URL | { url: string; protocols?: string | string[]; headers?: HeadersInit; rootPath?: string; scope?: object },
  ): InProcessWebSocket;
  /**
   * Wires what a server does beside its requests: WebSockets go to the app, and `Expect: 100-continue` is answered once
   * the app asks for the body. Requests go where the server sends them. `path`: only WebSockets at or below it, which
   * becomes their `root_path`.
   */
  attach(
    server: import('node:http').Server | import('node:https').Server | import('node:http2').Http2Server,
    options?: { path?: string },
  ): this;
  /** For the `upgrade` event of a node:http or node:https server. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer, options?: { rootPath?: string }): void;
  /** For node:http, node:https and node:http2 servers, and for node:http2's event `stream`. */
  listener(): Listener;
  /** For Express, Connect and their kin. `fallthrough`: a 404 of the app becomes a call of `next()`. */
  middleware(options?: { fallthrough?: boolean }): ConnectMiddleware;
  /**
   * Imports the app anew beside the one that serves, runs its startup, and lets it take over; the old one's requests
   * end as on `close()`. Rejects with what went wrong, and the old app serves on.
   */
  reload(): Promise<void>;
  /** The stack of every Python thread, also while the app blocks the event loop. Blocks this thread, for 250 ms at most. */
  dumpStacks(): string;
  /** Takes no more requests, lets those under way end, and runs the app's shutdown. `timeout` in milliseconds. */
  close(options?: { timeout?: number }): Promise<CloseReport>;
  stats(): HandlerStats;
  /** As `close()`. */
  [Symbol.asyncDispose](): Promise<void>;

  on<E extends keyof PythonHandlerEvents>(event: E, listener: (...args: PythonHandlerEvents[E]) => void): this;
  once<E extends keyof PythonHandlerEvents>(event: E, listener: (...args: PythonHandlerEvents[E]) => void): this;
  off<E extends keyof PythonHandlerEvents>(event: E, listener: (...args: PythonHandlerEvents[E]) => void): this;
}

/** The Python that this process runs. Throws until a handler is ready. */
export function pythonInfo(): PythonInfo;
