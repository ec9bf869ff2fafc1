/**
 * Descriptions for tests.
 *
 * @module
 */

import { checkDescription } from "../../src/config/check.ts";
import type { Description } from "../../src/config/description.ts";
import { mistakesError } from "../../src/config/mistake.ts";

/** The whole description of what is given; throws one ConfigError for all mistakes. */
export function describe(given: unknown): Description {
  const { description, mistakes } = checkDescription(given);
  if (description !== undefined) return description;
  throw mistakesError(mistakes);
}
