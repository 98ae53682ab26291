'use strict';

// No forceExit: a test run that cannot end by itself shows a handle that the addon left open.
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['<rootDir>/test/js/**/*.test.js'],
  testTimeout: 30000,
};
