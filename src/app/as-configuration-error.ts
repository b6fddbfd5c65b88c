/** Turns failures that the operator can fix into one-line messages without a stack trace. */
import { errorMessage } from '../errors/error-message.ts';
import { ConfigurationError } from '../settings/configuration-error.ts';

/** For `catch`. @throws ConfigurationError with the message of the error */
export function asConfigurationError(error: unknown): never {
  throw new ConfigurationError(errorMessage(error));
}
