'use strict';

// A program without a server: asks a Python app in line and ends. Run as a child process by a test.

const path = require('node:path');

const { PythonHandler } = require('../..');

const docroot = path.resolve(__dirname, '../../fixtures/core');
const handler = new PythonHandler({ docroot, target: 'upload_sink:app' });
let ticks = 0;
setImmediate(() => { ticks += 1; });
const answers = ['one', Buffer.from('three'), ''].map((body) => {
  const response = handler.handleRequestSync({ method: 'POST', url: '/', body });
  return { status: response.status, type: response.headers.get('content-type'), ...response.json() };
});
console.log(JSON.stringify({ answers, ticks }));
