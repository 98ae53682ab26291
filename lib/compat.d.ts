/// <reference types="node" />

/** The classes of `@platformatic/python-node` 2.x: see docs/migrating.md. */

import type { CloseReport, HeadersInit, PythonHandlerOptions, Headers, Response, ResponseStream } from '../index';

export { Headers, Response } from '../index';

/** A request that may be written to, before or after it was handed over. */
export class Request {
  constructor(init: {
    /** Default `'GET'`. */
    method?: string;
    url: string | URL;
    headers?: HeadersInit | null;
    body?: Buffer | string;
    socket?: object;
    /** What the app gets as `root_path`. Default: the docroot of the app. */
    docroot?: string;
    /** Whether it is a WebSocket: each write is a message, and the end closes it. Default `false`. */
    websocket?: boolean;
  });
  method: string;
  url: string | URL;
  get headers(): Headers;
  set headers(value: HeadersInit);
  get body(): Buffer | string;
  set body(value: Buffer | string);
  docroot: string | undefined;
  /** The path without the query. */
  readonly path: string;
  /** A piece of the body or, of a WebSocket, a message: text for a string, bytes for a Buffer. */
  write(chunk: string | Uint8Array): Promise<void>;
  /** The end of the body, or of the WebSocket. */
  end(chunk?: string | Uint8Array): Promise<void>;
  toJSON(): { method: string; url: string | URL; headers: Record<string, string | string[]>; body: string };
}

/** The messages of a WebSocket. */
export interface WebSocketResponse extends AsyncIterable<Buffer> {
  readonly status: 101;
  readonly headers: Headers;
  /** The payload of the next message; null at the end. */
  next(): Promise<Buffer | null>;
}

/** A Python app. */
export class Python {
  constructor(options?: PythonHandlerOptions);
  readonly docroot: string;
  /** Rejects when the app raises before its response. */
  handleRequest(request: Request): Promise<Response>;
  /** Ends once the response has begun, or the WebSocket is open. */
  handleStream(request: Request): Promise<ResponseStream & WebSocketResponse>;
  /** Runs the app's shutdown. */
  close(): Promise<CloseReport>;
}
