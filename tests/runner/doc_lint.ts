/**
 * What `deno doc --lint` says, cut down to what the house asks for.
 *
 * The public library (`src/mod.ts`) is held to all of it. Inside, every export has its sentence, but
 * a member whose name and type say all needs none, and a constant's type is what it is inferred to be.
 *
 * @module
 */

/** One complaint of `deno doc --lint`. */
export interface DocComplaint {
  readonly code: string;
  readonly text: string;
  /** As printed, usually absolute. */
  readonly path: string;
  /** 1-based. */
  readonly line: number;
}

/** Reads the complaints out of the lines that `deno doc --lint` printed without colours. */
export function parseDocLint(lines: readonly string[]): DocComplaint[] {
  const complaints: DocComplaint[] = [];
  lines.forEach((line, at) => {
    const [, code, text] = line.match(/^error\[([a-z-]+)\]: (.*)$/) ?? [];
    const [, path, number] = lines[at + 1]?.match(/^ *--> (.+):(\d+):\d+$/) ?? [];
    if (code === undefined || text === undefined || path === undefined) return;
    complaints.push({ code, text, path, line: Number(number) });
  });
  return complaints;
}

/**
 * The complaints about exports without a sentence.
 *
 * @param lineOf gives a line of a source file
 */
export function undocumentedExports(
  complaints: readonly DocComplaint[],
  lineOf: (path: string, line: number) => string,
): DocComplaint[] {
  return complaints.filter((one) =>
    one.code === "missing-jsdoc" && !/^\s/.test(lineOf(one.path, one.line))
  );
}
