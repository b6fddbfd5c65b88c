/** The web globals that the engine may use. Every JavaScript runtime has them, and none depends on anything outside. */
declare function btoa(text: string): string;
declare function structuredClone<Value>(value: Value): Value;
