import { Headers, Python, Request, Response } from 'node-asgi/compat';

const python = new Python({ docroot: '.', appTarget: 'main:app' });

async function uses(): Promise<void> {
  const request = new Request({ method: 'POST', url: '/', headers: { a: ['1', '2'] }, body: 'text', docroot: '/root' });
  await request.write('piece');
  await request.end(Buffer.from('last'));
  const whole: Response = await python.handleRequest(request);
  const streamed = await python.handleStream(new Request({ url: '/', websocket: true }));
  const message: Buffer | null = await streamed.next();
  for await (const chunk of streamed) chunk.toString('hex');
  const headers: Headers = streamed.headers;
  request.headers = { b: '2' };
  void [whole.status, message, headers.get('a'), request.headers.get('b'), python.docroot, request.path];
  // @ts-expect-error a url is needed
  new Request({ method: 'GET' });
  // @ts-expect-error a number is no chunk
  await request.write(1);
}

void uses;
