'use strict';

/**
 * Calls one function of fixtures/libraries/uses.py and prints what it returns as JSON.
 * argv: the Python, the function, its arguments. `TLS` among them stands for the address of an https server of this very
 * process, `CERTIFICATE` for the file of its certificate.
 */

const fs = require('node:fs');
const https = require('node:https');
const os = require('node:os');
const path = require('node:path');

const { PythonHandler } = require('../..');
const { certificate } = require('../../examples/certificate');

const [python, name, ...words] = process.argv.slice(2);

(async () => {
  const handler = new PythonHandler({
    docroot: path.resolve(__dirname, '../../fixtures/libraries'), target: 'node_asgi.calls:app', lifespan: 'off', python,
  });
  let server;
  let folder;
  const meaning = {};
  if (words.includes('TLS')) {
    const pair = certificate();
    server = https.createServer(pair, (_req, res) => res.end('over TLS')).listen(0, 'localhost');
    await new Promise((resolve) => { server.once('listening', resolve); });
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'node-asgi-tls-'));
    fs.writeFileSync(path.join(folder, 'cert.pem'), pair.cert);
    meaning.TLS = `https://localhost:${server.address().port}/`;
    meaning.CERTIFICATE = path.join(folder, 'cert.pem');
  }
  try {
    console.log(JSON.stringify(await handler.call(`uses:${name}`, ...words.map((word) => meaning[word] ?? word))));
  } finally {
    await handler.close();
    server?.closeAllConnections();
    server?.close();
    if (folder) fs.rmSync(folder, { recursive: true });
  }
})();
