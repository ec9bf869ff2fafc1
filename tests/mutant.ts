/**
 * What a mutant is.
 *
 * @module
 */

/** One broken line. */
export interface Mutant {
  /** What is broken. */
  readonly name: string;
  /** Path of the source below the project. */
  readonly file: string;
  /** Text that stands once in the file. */
  readonly line: string;
  /** What stands there in the mutant. */
  readonly broken: string;
  /** The test that turns red: its file, and its name or a part of it. */
  readonly test: { readonly file: string; readonly name: string };
}
