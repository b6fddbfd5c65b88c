/** Fastify without the compilers of route schemas, which no route has. Loading them took 50 ms of the start on a busy machine. */
import type { FastifyServerOptions } from 'fastify';

export const noSchemas: Pick<FastifyServerOptions, 'schemaController'> = {
  schemaController: { compilersFactory: { buildValidator: rejectSchemas, buildSerializer: rejectSchemas } },
};

/** Fastify calls it for a route with a schema. */
function rejectSchemas(): never {
  throw new Error('routes cannot have schemas, because the server has no compilers for them');
}
