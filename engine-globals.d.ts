/** The web globals that the engine may use. Every JavaScript runtime has them, and none depends on anything outside. */
declare function atob(base64: string): string;
declare function btoa(text: string): string;
declare function structuredClone<Value>(value: Value): Value;
declare class TextDecoder {
  constructor(label?: string, options?: { ignoreBOM?: boolean });
  decode(bytes: Uint8Array): string;
}
