import { assert, assertEquals } from "@std/assert";
import { VireoError } from "../../src/base/errors.ts";
import { type CpioEntry, writeCpio } from "../../src/boot/cpio.ts";
import { readCpio, type ReadEntry } from "../boot/cpio_reader.ts";
import { fuzz, type Random } from "../support/random.ts";

const ALPHABET = ["a", "B", "0", ".", "-", " ", "é", "漢", "\n", "'"] as const;
const TYPES = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  character: 0o020000,
  block: 0o060000,
} as const;
const PERMISSIONS = {
  file: 0o644,
  directory: 0o755,
  symlink: 0o777,
  character: 0o600,
  block: 0o600,
};

/** A relative path without what Linux gives a meaning to, of mostly a few bytes, seldom of thousands. */
function path(random: Random): string {
  const length = random.chance(0.02) ? random.between(3000, 4094) : random.between(1, 12);
  let text = "";
  while (new TextEncoder().encode(text).length < length) text += random.pick(ALPHABET);
  return text.replace(/^\.+/, "d");
}

function entry(random: Random): CpioEntry {
  const common = {
    path: path(random),
    ...random.chance(0.5) ? { mode: random.below(0o10000) } : {},
  };
  switch (random.below(5)) {
    case 0:
      return { kind: "directory", ...common };
    case 1:
      return { kind: "symlink", path: common.path, target: path(random) };
    case 2:
      return {
        kind: "character",
        ...common,
        major: random.below(4096),
        minor: random.below(2 ** 20),
      };
    case 3:
      return { kind: "block", ...common, major: random.below(4096), minor: random.below(2 ** 20) };
    default:
      return { kind: "file", ...common, data: random.bytes(random.below(40)) };
  }
}

/** What a reader must find for an entry. */
function expected(entry: CpioEntry): Pick<ReadEntry, "path" | "mode" | "data" | "device"> {
  const mode = "mode" in entry && entry.mode !== undefined ? entry.mode : PERMISSIONS[entry.kind];
  const target = entry.kind === "symlink" ? new TextEncoder().encode(entry.target) : undefined;
  return {
    path: entry.path,
    mode: TYPES[entry.kind] + mode,
    data: entry.kind === "file" ? entry.data : target ?? new Uint8Array(),
    device: "major" in entry ? [entry.major, entry.minor] : [0, 0],
  };
}

Deno.test("writeCpio() writes what a reader of the format finds again, archive behind archive", () => {
  let written = 0;
  fuzz((random) => {
    const archives = Array.from(
      { length: random.between(1, 3) },
      () => Array.from({ length: random.below(6) }, () => entry(random)),
    );
    try {
      const bytes = archives.flatMap((entries) => [...writeCpio(entries)]);
      const found = readCpio(Uint8Array.from(bytes));
      assertEquals(
        found.map(({ path, mode, data, device }) => ({ path, mode, data, device })),
        archives.flat().map(expected),
      );
      for (const { inode, links } of found) assert(inode > 0 && links > 0);
      written++;
    } catch (error) {
      // Longer than Linux takes.
      if (!(error instanceof VireoError)) throw error;
    }
  }, { rounds: 500 });
  assert(written > 0, "everything was refused, so nothing was shown");
});
