'use strict';

const { PythonHandler } = require('node-asgi');
const undici = require('undici');

const python = new PythonHandler({ docroot: __dirname, target: 'main:app' });
const dispatcher = python.dispatcher();

async function main() {
  // Code that asks an address is answered by the Python app, without a socket: here Node's own fetch …
  const response = await fetch('http://words.internal/', { method: 'POST', body: 'to be or not to be', dispatcher });
  console.log(await response.json());
  // … and here undici.
  const { body } = await undici.request('http://words.internal/', { method: 'POST', body: 'one two', dispatcher });
  console.log(await body.json());
  await python.close();
}

main();
