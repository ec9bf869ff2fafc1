/**
 * How programs on the bench are started: as this project starts itself.
 *
 * @module
 */

import { V8_FLAGS } from "../../src/compile.ts";

/** What V8 is told, as an option of `deno run`. */
export const V8_OPTION: string = `--v8-flags=${V8_FLAGS.join(",")}`;

/** The same for a bundle that is cached: all functions are in V8's code cache, not only those that run while modules load. */
export const V8_OPTION_EAGER: string = `${V8_OPTION},--no-lazy`;
