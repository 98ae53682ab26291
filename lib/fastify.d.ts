import type { FastifyPluginAsync } from 'fastify';
import type { PythonHandler, PythonHandlerOptions } from '../index.js';

/** Options of the Fastify plugin: those of PythonHandler, or a handler that somebody else closes. */
export type NodeAsgiPluginOptions =
  | (PythonHandlerOptions & { prefix?: string; handler?: undefined })
  | { prefix?: string; handler: PythonHandler };

/** Hands everything below the plugin's prefix to a Python app. */
declare const plugin: FastifyPluginAsync<NodeAsgiPluginOptions>;
export default plugin;
