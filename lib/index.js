'use strict';

const { NodeAsgiError, PythonError, codes } = require('./errors');
const { Headers } = require('./headers');
const { PythonHandler, pythonInfo } = require('./python-handler');
const { Request } = require('./request');
const { Response, ResponseStream } = require('./response');

module.exports = { PythonHandler, pythonInfo, Request, Response, ResponseStream, Headers, NodeAsgiError, PythonError, codes };
