'use strict';

/** The Python app as Express middleware. Prints its port. */

const path = require('node:path');

const express = require('express');

const { PythonHandler } = require('../..');

const handler = new PythonHandler({ docroot: path.join(__dirname, '../drivers'), target: 'site_app:app' });
handler.ready().then(() => {
  const server = express().use(handler.middleware()).listen(0, '127.0.0.1', () => console.log(server.address().port));
});
