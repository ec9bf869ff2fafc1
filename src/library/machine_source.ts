/**
 * A machine's description as programs give it: an object, a file, or what one would write behind `vireo run`. All of them end in
 * the same frozen value, or in the same mistakes.
 *
 * @module
 */

import { ConfigError } from "../base/errors.ts";
import { checkDescription } from "../config/check.ts";
import type { Description } from "../config/description.ts";
import { loadDescription } from "../config/load.ts";
import { MACHINE_OPTIONS, overridesOf, splitFile } from "../config/machine_options.ts";
import { mistakesError } from "../config/mistake.ts";
import { parseOptions } from "../config/options.ts";
import { splitWords } from "./words.ts";

/** As much of a type as somebody gives; a size may be a text with its unit. */
export type Given<T> = T extends readonly (infer Element)[] ? readonly Given<Element>[]
  : T extends object ? { readonly [Key in keyof T]?: Given<T[Key]> | undefined }
  : T extends number ? number | string
  : T;

/**
 * A machine as an object, with the names of the file: `{ kernel: { path: "vmlinuz" }, memory: { size: "512M" } }`. What is not
 * given has its default. Sizes are bytes, or texts with binary units; paths are relative to the working directory.
 */
export type MachineDescription = Given<Description>;

/**
 * Where a description comes from: an object; a TOML file's path, or its `file:` URL; options of `vireo run` as one text, which
 * begins with a dash (`"--kernel vmlinuz --cpus 2"`); or as a list of words, among them a file (`["vm.toml", "--cpus", "2"]`).
 */
export type MachineSource = MachineDescription | string | URL | readonly string[];

/**
 * Reads, completes, checks and freezes a description. No KVM is touched.
 *
 * @param options `hasLoader`: a loader of the program's own stands in for the kernel
 * @throws ConfigError with a line for each mistake
 */
export function describeMachine(
  source: MachineSource,
  { hasLoader = false }: { readonly hasLoader?: boolean } = {},
): Description {
  const { description, mistakes } = check(source, hasLoader);
  if (description !== undefined) return description;
  throw mistakesError(mistakes);
}

function check(source: MachineSource, hasLoader: boolean) {
  if (source instanceof URL) return loadDescription({ file: pathOf(source), hasLoader });
  if (isWords(source)) return checkWords(source, hasLoader);
  if (typeof source !== "string") return checkDescription(source, { hasLoader });
  if (/^\s*-/.test(source)) return checkWords(splitWords(source), hasLoader);
  return loadDescription({ file: source, hasLoader });
}

function isWords(source: MachineSource): source is readonly string[] {
  return Array.isArray(source);
}

function checkWords(words: readonly string[], hasLoader: boolean) {
  const { file, rest } = splitFile(MACHINE_OPTIONS, words);
  const overrides = overridesOf(parseOptions(MACHINE_OPTIONS, rest));
  return loadDescription({ overrides, hasLoader, ...(file === undefined ? {} : { file }) });
}

function pathOf(url: URL): string {
  if (url.protocol === "file:") return decodeURIComponent(url.pathname);
  throw new ConfigError(url.href, "It is no file's URL; fetch it, and give the file's path");
}
