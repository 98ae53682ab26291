'use strict';

/** The ASGI TLS extension (asgiref tls.rst 0.2) of a TLS connection. */

const kExtension = Symbol('node-asgi.tls');

const VERSIONS = { TLSv1: 0x0301, 'TLSv1.1': 0x0302, 'TLSv1.2': 0x0303, 'TLSv1.3': 0x0304 };

/** Numbers of the IANA TLS cipher suite registry, for the suites that OpenSSL 3 can negotiate. */
const CIPHER_SUITES = {
  TLS_AES_128_GCM_SHA256: 0x1301,
  TLS_AES_256_GCM_SHA384: 0x1302,
  TLS_CHACHA20_POLY1305_SHA256: 0x1303,
  TLS_AES_128_CCM_SHA256: 0x1304,
  TLS_AES_128_CCM_8_SHA256: 0x1305,
  TLS_RSA_WITH_AES_128_CBC_SHA: 0x002f,
  TLS_DHE_RSA_WITH_AES_128_CBC_SHA: 0x0033,
  TLS_RSA_WITH_AES_256_CBC_SHA: 0x0035,
  TLS_DHE_RSA_WITH_AES_256_CBC_SHA: 0x0039,
  TLS_RSA_WITH_AES_128_CBC_SHA256: 0x003c,
  TLS_RSA_WITH_AES_256_CBC_SHA256: 0x003d,
  TLS_DHE_RSA_WITH_AES_128_CBC_SHA256: 0x0067,
  TLS_DHE_RSA_WITH_AES_256_CBC_SHA256: 0x006b,
  TLS_RSA_WITH_AES_128_GCM_SHA256: 0x009c,
  TLS_RSA_WITH_AES_256_GCM_SHA384: 0x009d,
  TLS_DHE_RSA_WITH_AES_128_GCM_SHA256: 0x009e,
  TLS_DHE_RSA_WITH_AES_256_GCM_SHA384: 0x009f,
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 0xc009,
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 0xc00a,
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 0xc013,
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 0xc014,
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256: 0xc023,
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384: 0xc024,
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256: 0xc027,
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384: 0xc028,
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 0xc02b,
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 0xc02c,
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 0xc02f,
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 0xc030,
  TLS_ECDHE_ECDSA_WITH_AES_128_CCM: 0xc0ac,
  TLS_ECDHE_ECDSA_WITH_AES_256_CCM: 0xc0ad,
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 0xcca8,
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 0xcca9,
  TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 0xccaa,
};

/** The longest chain that is followed: one that is issued by itself, or by a circle, must end. */
const MAX_CHAIN = 10;

/** @param {import('node:crypto').X509Certificate | undefined} leaf @returns {string[]} PEM, leaf first */
function chainOf(leaf) {
  const chain = [];
  const seen = new Set();
  for (let one = leaf; one && chain.length < MAX_CHAIN && !seen.has(one.fingerprint256); one = one.issuerCertificate) {
    seen.add(one.fingerprint256);
    chain.push(one.toString());
  }
  return chain;
}

/**
 * An RFC 4514 string of a subject as Node prints it: a part a line, escaped already, the most significant first,
 * where RFC 4514 puts it last.
 * @param {string} subject
 */
function distinguishedName(subject) {
  return subject.split('\n').reverse().join(',');
}

/**
 * Made once for a connection.
 * @param {any} socket a TLSSocket
 * @param {any} holder what remembers it
 * @returns {string} JSON
 */
function tlsExtension(socket, holder) {
  const known = holder[kExtension];
  if (known !== undefined) return known;
  const peer = socket.getPeerX509Certificate?.();
  const error = peer && !socket.authorized ? socket.authorizationError : null;
  const text = JSON.stringify({
    server_cert: socket.getX509Certificate?.()?.toString() ?? null,
    client_cert_chain: chainOf(peer),
    client_cert_name: peer ? distinguishedName(peer.subject) : null,
    client_cert_error: error ? String(error.code ?? error.message ?? error) : null,
    tls_version: VERSIONS[socket.getProtocol?.()] ?? null,
    cipher_suite: CIPHER_SUITES[socket.getCipher?.()?.standardName] ?? null,
  });
  Object.defineProperty(holder, kExtension, { value: text });
  return text;
}

module.exports = { tlsExtension };
