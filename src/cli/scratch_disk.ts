/**
 * The disk that `vireo boot` gives a guest where none was asked for.
 *
 * @module
 */

import { errorText, VireoError } from "../base/errors.ts";
import { join } from "../std/path.ts";

/** Bytes; the file is sparse. */
const SIZE = 2 ** 30;

/** An empty disk among the temporary files. Its name goes when this is disposed of; whoever has opened it keeps it. */
export class ScratchDisk implements Disposable {
  /** Where it is. */
  readonly path: string;
  readonly #folder: string;

  /**
   * Makes it.
   *
   * @throws VireoError `environment` where it cannot be made
   */
  constructor() {
    try {
      this.#folder = Deno.makeTempDirSync({ prefix: "vireo-" });
      this.path = join(this.#folder, "scratch.img");
      using stack = new DisposableStack();
      stack.use(this);
      using file = Deno.createSync(this.path);
      file.truncateSync(SIZE);
      stack.move();
    } catch (error) {
      throw new VireoError(
        "environment",
        `Cannot make a scratch disk: ${errorText(error)}; name a folder for temporary files that ` +
          "is writable and has room by TMPDIR, or give a disk with --disk",
        { cause: error },
      );
    }
  }

  /** Removes the name. */
  [Symbol.dispose](): void {
    Deno.removeSync(this.#folder, { recursive: true });
  }
}
