/** `/app/regkeeper.mjs` of the image: starts the program with its compiled code. */
import { loadProgram } from './compiled-program.ts';

loadProgram(import.meta.dirname).run();
