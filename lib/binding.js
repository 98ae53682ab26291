'use strict';

/**
 * Finds and loads the native addon.
 *
 * Order: NODE_ASGI_BINARY, then a node-gyp build, then a CMake build, then the binaries of the package.
 */

const fs = require('node:fs');
const path = require('node:path');

const { create } = require('./errors');

const root = path.join(__dirname, '..');
const platform = `${process.platform}-${process.arch}`;

/** @returns {string[]} where the addon may be, best first */
function candidates() {
  const chosen = process.env.NODE_ASGI_BINARY;
  if (chosen) return [path.resolve(chosen)];
  return [
    path.join(root, 'build', 'Release', 'node_asgi.node'),
    path.join(root, 'build', 'cmake', 'release', 'node_asgi.node'),
    path.join(root, 'prebuilds', platform, 'node_asgi.node'),
  ];
}

function load() {
  const places = candidates();
  const found = places.find((place) => fs.existsSync(place));
  if (!found) {
    throw create('ERR_ASGI_BINARY', `no node-asgi addon for ${platform}, Node ${process.version}; looked for:\n  ` +
      `${places.join('\n  ')}\nBuild it with "npx node-asgi build" (in a checkout: "npm run build"), or name one in NODE_ASGI_BINARY.`);
  }
  try {
    return require(found);
  } catch (error) {
    throw create('ERR_ASGI_BINARY', `${found} does not load on ${platform}, Node ${process.version}: ${error.message}`,
      { cause: error });
  }
}

module.exports = load();
