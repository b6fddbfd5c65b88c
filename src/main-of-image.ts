/** The entry point of the image, which `npm run build` turns into a script. A script has no `await` outside of functions. */
import { run } from './run.ts';

void run();
