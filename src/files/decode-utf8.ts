/** Decodes files strictly, so that no byte is replaced without a word. PowerShell writes UTF-16 by default, for example. */

/** Returns the text, with a byte order mark if there is one. @throws Error with one phrase that names the line */
export function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const line = bytes.toString('utf8').split('\ufffd', 1)[0]?.split('\n').length;
    throw new Error(`not UTF-8 text (line ${line}). Save it as UTF-8`);
  }
}
