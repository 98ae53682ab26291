'use strict';

// The core suite, run once per installed CPython: a process holds one interpreter for its whole
// life, so each version needs a run of its own. NODE_ASGI_PYTHON names the version.
module.exports = {
  ...require('../jest.config.js'),
  rootDir: '..',
  testMatch: ['<rootDir>/test/core/**/*.test.js'],
};
