/** Failures that the operator can fix: the message is for them, and a stack would not help. */
import { ConfigurationError } from '../settings/configuration-error.ts';

/** For `catch`. @throws ConfigurationError with the message of the error */
export function asConfigurationError(error: unknown): never {
  throw new ConfigurationError(error instanceof Error ? error.message : String(error));
}
