'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/**
 * A key and a certificate for localhost that no browser trusts, made by openssl. A real server reads its own.
 *
 * @returns {{ key: Buffer, cert: Buffer }}
 */
function certificate() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'node-asgi-'));
  try {
    execFileSync('openssl', [
      'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'key.pem', '-out', 'cert.pem',
      '-subj', '/CN=localhost', '-days', '30',
    ], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
    return { key: fs.readFileSync(path.join(folder, 'key.pem')), cert: fs.readFileSync(path.join(folder, 'cert.pem')) };
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

module.exports = { certificate };
