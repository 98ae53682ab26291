import library from './index.js';

export const {
  PythonHandler, pythonInfo, Request, Response, ResponseStream, Headers, NodeAsgiError, PythonError, codes,
} = library;
export default library;
