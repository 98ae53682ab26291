'use strict';

// Preloaded into a program that listens on a fixed port: makes it a free one of the loopback address, and prints it.

const net = require('node:net');

const { listen } = net.Server.prototype;

net.Server.prototype.listen = function listenOnFreePort(...args) {
  const done = args.find((argument) => typeof argument === 'function');
  this.once('listening', () => console.log(`listening on port ${this.address().port}`));
  return listen.call(this, { port: 0, host: '127.0.0.1' }, done);
};
