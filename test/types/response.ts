// Responses, whole and streamed, and headers.

import { ServerResponse } from 'node:http';
import { Writable } from 'node:stream';

import { Headers, PythonHandler, Response, ResponseStream } from 'node-asgi';

async function whole(response: Response, res: ServerResponse): Promise<void> {
  const status: number = response.status;
  const body: Buffer = response.body;
  const text: string = response.text();
  const typed: { id: number } = response.json<{ id: number }>();
  const cookies: string[] = response.headers.getAll('set-cookie');
  const last: string | undefined = response.headers.get('content-type');
  const sent: ServerResponse = response.send(res);
  res.writeHead(status, response.headers.toJSON());
  void [body, text, typed, cookies, last, sent];
  response.headers = { 'x-more': ['1', '2'] };
  // @ts-expect-error nothing to wait for
  response.text().then();
  // @ts-expect-error may be absent
  const always: string = response.headers.get('content-type');
  void always;
}

async function streamed(handler: PythonHandler, res: ServerResponse, sink: Writable): Promise<void> {
  const stream: ResponseStream = await handler.handleStream({ url: '/' });
  for await (const chunk of stream) {
    const bytes: Buffer = chunk;
    void bytes;
  }
  const piece: Buffer | null = await stream.next();
  const trailer: string | undefined = stream.trailers.get('checksum');
  stream.pipe(sink);
  stream.send(res);
  void [piece, trailer];
  // @ts-expect-error read only
  stream.status = 200;
  // @ts-expect-error made by a handler only
  new ResponseStream();
}

function headers(): void {
  const made = new Headers([['a', '1'], ['a', '2']]);
  new Headers(made);
  new Headers({ a: '1', b: ['2', '3'] });
  new Headers(null);
  made.set('b', ['1', '2']).add('b', '3');
  const had: boolean = made.delete('a');
  const pairs: [string, string][] = [...made, ...made.entries()];
  made.forEach((value: string, name: string, all: Headers) => void [value, name, all]);
  void [had, pairs];
  // @ts-expect-error a value is text
  made.set('a', 1);
  // @ts-expect-error so in the constructor
  new Headers({ a: 1 });
}

void [whole, streamed, headers];
