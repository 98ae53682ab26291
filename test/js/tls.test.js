'use strict';

/** E-18 to E-21: the ASGI TLS extension over real TLS connections. */

const { execFileSync } = require('node:child_process');
const { X509Certificate } = require('node:crypto');
const { once } = require('node:events');
const fs = require('node:fs');
const http2 = require('node:http2');
const https = require('node:https');
const os = require('node:os');
const path = require('node:path');

const { coreApps } = require('../helpers/core-apps');

const { open, serve } = coreApps();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'node-asgi-tls-'));
const file = (name) => path.join(folder, name);
const read = (name) => fs.readFileSync(file(name), 'utf8');
const openssl = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
const closing = [];
let server;

beforeAll(async () => {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/O=Example/CN=Test CA', '-days', '2');
  openssl('req', '-x509', ...key, '-keyout', 'server.key', '-out', 'server.pem', '-subj', '/CN=localhost', '-days', '2');
  openssl('req', ...key, '-keyout', 'client.key', '-out', 'client.csr', '-subj', '/C=DE/O=Example, "Inc."/CN=#ada');
  openssl('x509', '-req', '-in', 'client.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-out', 'client.pem', '-days', '2');
  openssl('req', '-x509', ...key, '-keyout', 'stranger.key', '-out', 'stranger.pem', '-subj', '/CN=stranger', '-days', '2');
  const { handler } = open('scope_dump');
  await handler.ready();
  const options = { key: read('server.key'), cert: read('server.pem'), ca: read('ca.pem'), requestCert: true, rejectUnauthorized: false };
  server = https.createServer(options, handler.listener()).listen(0, '127.0.0.1');
  const second = http2.createSecureServer(options, handler.listener()).listen(0, '127.0.0.1');
  await Promise.all([once(server, 'listening'), once(second, 'listening')]);
  for (const one of [server, second]) closing.push(() => new Promise((resolve) => { one.close(resolve); one.closeAllConnections?.(); }));
  server.second = second;
});

afterAll(async () => {
  for (const close of closing) await close();
  fs.rmSync(folder, { recursive: true });
});

/** The scope of a request over TLS. */
async function scope(options = {}) {
  const request = https.get({ port: server.address().port, host: '127.0.0.1', rejectUnauthorized: false, agent: false, ...options });
  const [response] = await once(request, 'response');
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  return JSON.parse(text).scope;
}

const tls = async (options) => (await scope(options)).extensions.tls;

test('E-18 S-08 it is there on TLS connections only, whose scheme is https', async () => {
  const { scheme, extensions } = await scope();
  expect(scheme).toBe('https');
  expect(extensions).toHaveProperty('tls');
  const plain = await serve('scope_dump');
  expect((await plain.fetchJson('/')).scope.extensions).not.toHaveProperty('tls');
});

test('E-21 a header cannot make one', async () => {
  const plain = await serve('scope_dump');
  const answer = await plain.fetchJson({ target: '/', headers: [['x-forwarded-proto', 'https']] });
  expect(answer.scope.extensions).not.toHaveProperty('tls');
});

test('E-19 the certificate of the server, the version and the cipher suite of the connection', async () => {
  const thirteen = await tls();
  expect(thirteen).toMatchObject({ tls_version: 0x0304, client_cert_chain: [], client_cert_name: null, client_cert_error: null });
  expect(new X509Certificate(thirteen.server_cert).fingerprint256).toBe(new X509Certificate(read('server.pem')).fingerprint256);
  expect([0x1301, 0x1302, 0x1303]).toContain(thirteen.cipher_suite);
  const twelve = await tls({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' });
  expect(twelve).toMatchObject({ tls_version: 0x0303, cipher_suite: 0xc02c });
});

test('E-20 the client certificate, with its chain and its name', async () => {
  const { client_cert_chain: chain, client_cert_name: name, client_cert_error: error } =
    await tls({ key: read('client.key'), cert: read('client.pem') + read('ca.pem') });
  expect(new X509Certificate(chain[0]).fingerprint256).toBe(new X509Certificate(read('client.pem')).fingerprint256);
  expect(new X509Certificate(chain[1]).fingerprint256).toBe(new X509Certificate(read('ca.pem')).fingerprint256);
  expect(name).toBe('CN=\\#ada,O=Example\\, \\"Inc.\\",C=DE');
  expect(error).toBeNull();
});

test('E-20 a client certificate that is not trusted is told with its error', async () => {
  const told = await tls({ key: read('stranger.key'), cert: read('stranger.pem') });
  expect(told.client_cert_chain).toHaveLength(1);
  expect(told.client_cert_name).toBe('CN=stranger');
  expect(told.client_cert_error).toMatch(/SELF_SIGNED|DEPTH_ZERO/);
});

test('E-18 over HTTP/2, for every stream of a session', async () => {
  const session = http2.connect(`https://127.0.0.1:${server.second.address().port}`, { rejectUnauthorized: false });
  for (let n = 0; n < 2; n += 1) {
    let text = '';
    for await (const part of session.request({ ':path': '/' }).setEncoding('utf8')) text += part;
    const answer = JSON.parse(text).scope;
    expect(answer).toMatchObject({ http_version: '2', scheme: 'https' });
    expect(answer.extensions.tls.tls_version).toBe(0x0304);
  }
  session.close();
});
