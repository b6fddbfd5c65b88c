/** What the runtime needs of a log for operators. A pino logger fits. */

type Write = (fields: object, message: string) => void;

export type Log = { readonly debug: Write; readonly info: Write; readonly warn: Write; readonly error: Write };
