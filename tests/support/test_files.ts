/**
 * Where the project's tests are.
 *
 * @module
 */
import { modulesBelow } from "./import_graph.ts";

const ROOT = new URL("../../", import.meta.url);

/** Every file of tests, as sorted paths below the project. */
export async function testFiles(): Promise<string[]> {
  return (await modulesBelow(ROOT, "tests")).filter((path) => path.endsWith("_test.ts"));
}
