/** Why a body was not read, apart from mistakes in its content. */
import { RequestError } from '../error-bodies.ts';

/** The server is busy with other requests: HTTP 503, and the API server retries. */
export class Overloaded extends RequestError {
  constructor(message: string) {
    super(503, 'ServiceUnavailable', message);
  }
}

/** The body did not arrive in time. */
export class TooSlow extends RequestError {
  constructor(milliseconds: number) {
    super(408, 'Timeout', `the body did not arrive within ${Math.round(milliseconds / 100) / 10} s`);
  }
}
