// What a handler offers, and with what it can be asked.

import * as http from 'node:http';
import * as http2 from 'node:http2';
import * as https from 'node:https';
import { Readable } from 'node:stream';

import { CloseReport, HandlerStats, NodeAsgiError, PythonHandler, PythonInfo, pythonInfo, Request, Response } from 'node-asgi';

const handler = new PythonHandler({ docroot: 'app', target: 'main:app' });

async function lifecycle(): Promise<void> {
  const info: PythonInfo = await handler.ready();
  const same: PythonInfo = pythonInfo();
  const versions: string[] = [info.version, same.libpython, ...info.rejected.map(({ reason }) => reason)];
  const report: CloseReport = await handler.close({ timeout: 1000 });
  const counts: [number, number, boolean, string] = [report.drained, report.cancelled, report.timedOut, report.lifespan];
  const stats: HandlerStats = handler.stats();
  const never: number = stats.gilOnJsThread;
  const woken: number = stats.wakeups.python + stats.wakeups.node + stats.bytesIn + stats.bytesOut;
  void [versions, counts, never, woken];
  // @ts-expect-error read only
  handler.target = 'other:app';
  // @ts-expect-error a number of milliseconds
  await handler.close({ timeout: '1s' });
}

async function disposal(): Promise<void> {
  const disposable: AsyncDisposable = handler;
  await disposable[Symbol.asyncDispose]();
}

async function requests(req: http.IncomingMessage, req2: http2.Http2ServerRequest): Promise<void> {
  const bodies = ['text', Buffer.from('bytes'), new Uint8Array(1), Readable.from(['stream']), new ReadableStream<Uint8Array>()];
  for (const body of bodies) await handler.handleRequest({ method: 'POST', url: '/', body });
  await handler.handleRequest({ url: new URL('http://localhost/'), headers: { accept: '*/*', 'x-many': ['1', '2'] } });
  await handler.handleRequest({ url: '/', headers: [['accept', '*/*']], rootPath: '/api', scope: { user: 1 } });
  await handler.handleRequest(new Request({ url: '/' }), { signal: AbortSignal.timeout(1), scope: { user: 1 } });
  await handler.handleRequest(new globalThis.Request('http://localhost/'));
  await handler.handleRequest(req);
  await handler.handleRequest(req2);
  await handler.handleStream(req, { duplex: true });
  const response: Response = handler.handleRequestSync({ url: '/', body: 'whole' }, { timeout: 1000 });
  void response;

  // @ts-expect-error a url is needed
  await handler.handleRequest({ method: 'GET' });
  // @ts-expect-error a number is no body
  await handler.handleRequest({ url: '/', body: 1 });
  // @ts-expect-error only a stream is written to
  await handler.handleRequest({ url: '/' }, { duplex: true });
  // @ts-expect-error only a whole body can be waited for in line
  handler.handleRequestSync({ url: '/', body: Readable.from(['stream']) });
  // @ts-expect-error a response, not a promise of one
  handler.handleRequestSync({ url: '/' }).then();
}

function servers(): void {
  http.createServer(handler.listener());
  https.createServer({}, handler.listener());
  http2.createSecureServer({ allowHTTP1: true }, handler.listener());
  http2.createServer().on('stream', handler.listener());
  const middleware: (req: http.IncomingMessage, res: http.ServerResponse, next: () => void) => void = handler.middleware();
  void [middleware, handler.middleware({ fallthrough: true })];
  // @ts-expect-error fallthrough is true or false
  handler.middleware({ fallthrough: 'yes' });
}

function events(): void {
  handler.on('error', (error) => { const code: string = error.code; void code; });
  handler.once('warning', (error: NodeAsgiError) => error.status).off('error', () => {});
  // @ts-expect-error there is no such event
  handler.on('errors', () => {});
  // @ts-expect-error an error has no such member
  handler.on('error', (error) => error.kode);
}

void [lifecycle, disposal, requests, servers, events];
