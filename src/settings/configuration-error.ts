/** What the person who started us has to put right; the message is one line that names the place and the fix. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}
