// Every option, and values that are refused.

import { PythonHandler, PythonHandlerOptions } from 'node-asgi';

const all: Required<PythonHandlerOptions> = {
  target: 'main:app',
  appTarget: 'main:app',
  docroot: '.',
  python: '.venv',
  lifespan: 'auto',
  rootPath: '',
  loop: 'uvloop',
  startTimeout: 0,
  responseTimeout: 0,
  shutdownTimeout: 5000,
  maxConcurrency: 0,
  maxBodyBytes: 0,
  highWaterMark: 65536,
  cancelOnDisconnect: false,
  scope: { anything: ['that', { JSON: 'carries' }] },
  debug: false,
  spin: 50,
  nativeSymbols: 'auto',
  specVersion: '2.5',
  maxMessageBytes: 1,
  pingInterval: 1,
  pingTimeout: 1,
  perMessageDeflate: true,
  logger: console,
  testing: false,
};

new PythonHandler();
new PythonHandler({});
new PythonHandler(all);
new PythonHandler({ loop: 'module:factory', cancelOnDisconnect: 100, specVersion: '2.3', lifespan: 'on' });

// @ts-expect-error an option that does not exist
new PythonHandler({ targets: 'main:app' });
// @ts-expect-error one of three words
new PythonHandler({ lifespan: 'maybe' });
// @ts-expect-error one of three words
new PythonHandler({ nativeSymbols: true });
// @ts-expect-error a number of milliseconds
new PythonHandler({ startTimeout: '5s' });
// @ts-expect-error true or false
new PythonHandler({ debug: 'yes' });
// @ts-expect-error only these versions
new PythonHandler({ specVersion: '3.0' });
// @ts-expect-error a folder, not a list of them
new PythonHandler({ docroot: ['.'] });
