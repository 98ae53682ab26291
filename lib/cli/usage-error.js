'use strict';

/** The command line asks for what is not there. */
class UsageError extends Error {}

module.exports = { UsageError };
