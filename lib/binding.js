'use strict';

/**
 * Finds and loads the native addon.
 *
 * Order: NODE_ASGI_BINARY, then a node-gyp build, then a CMake build, then the binaries of the package. Those are for a
 * platform, an architecture and, on Linux, a C library: prebuilds/linux-x64 needs glibc, prebuilds/linux-x64-musl musl.
 */

const fs = require('node:fs');
const path = require('node:path');

const { create } = require('./errors');

const root = path.join(__dirname, '..');
/** The C library that this Node runs with, such as 'glibc 2.36'; '' where there is but one. */
function libc() {
  if (process.platform !== 'linux') return '';
  const { report } = process;
  const before = report.excludeNetwork;
  report.excludeNetwork = true; // its network part looks up host names
  const { header } = /** @type {any} */ (report.getReport());
  report.excludeNetwork = before;
  return header.glibcVersionRuntime ? `glibc ${header.glibcVersionRuntime}` : 'musl';
}

/** Where the package keeps the binary for this machine. */
function prebuilt() {
  const platform = `${process.platform}-${process.arch}`;
  const musl = path.join(root, 'prebuilds', `${platform}-musl`, 'node_asgi.node');
  if (fs.existsSync(musl) && libc() === 'musl') return musl;
  return path.join(root, 'prebuilds', platform, 'node_asgi.node');
}

/** 'linux x64 (glibc 2.36), Node v20.0.0' */
function machine() {
  const library = libc();
  return `${process.platform} ${process.arch}${library && ` (${library})`}, Node ${process.version}`;
}

/** @returns {string[]} where the addon may be, best first */
function candidates() {
  const chosen = process.env.NODE_ASGI_BINARY;
  if (chosen) return [path.resolve(chosen)];
  return [
    path.join(root, 'build', 'Release', 'node_asgi.node'),
    path.join(root, 'build', 'cmake', 'release', 'node_asgi.node'),
    prebuilt(),
  ];
}

function load() {
  const places = candidates();
  const found = places.find((place) => fs.existsSync(place));
  if (!found) {
    throw create('ERR_ASGI_BINARY', `no node-asgi addon for ${machine()}; looked for:\n  ` +
      `${places.join('\n  ')}\nBuild it with "npx node-asgi build" (in a checkout: "npm run build"), or name one in NODE_ASGI_BINARY.`);
  }
  try {
    return require(found);
  } catch (error) {
    throw create('ERR_ASGI_BINARY', `${found} does not load on ${machine()}: ${error.message}\n` +
      'Build one for this machine with "npx node-asgi build", or name one in NODE_ASGI_BINARY.', { cause: error });
  }
}

module.exports = load();
