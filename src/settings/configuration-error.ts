/** A mistake that the operator has to correct. The message is one line that names the location and the fix. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}
