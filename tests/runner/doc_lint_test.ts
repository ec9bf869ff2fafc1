import { assertEquals } from "@std/assert";
import { requirement } from "../support/require.ts";
import { linesTo, runCommand } from "./command.ts";
import { parseDocLint, undocumentedExports } from "./doc_lint.ts";

const SOURCE = `/** Has a sentence. */
export interface Good {
  readonly plain: number;
}
export const bad = 1;
export function worse(): void {}
/** Has one too. */
export const fine = { a: 1 } as const;
`;

Deno.test(
  "undocumentedExports() finds exports without a sentence, and no members",
  requirement("ffi"),
  async () => {
    const folder = await Deno.makeTempDir({ prefix: "vireo-doc-" });
    const path = `${folder}/x.ts`;
    await Deno.writeTextFile(path, SOURCE);
    const lines: string[] = [];
    const { code } = await runCommand({
      program: Deno.execPath(),
      args: ["doc", "--lint", path],
      bound: 60_000,
      outputs: linesTo((line) => lines.push(line)),
    });
    await Deno.remove(folder, { recursive: true });
    const complaints = parseDocLint(lines);
    const lineOf = (_path: string, line: number): string => SOURCE.split("\n")[line - 1] ?? "";
    const found = undocumentedExports(complaints, lineOf);
    assertEquals(code, 1);
    assertEquals(complaints.some((one) => one.line === 3), true);
    assertEquals(found.map((one) => [one.path, one.line]), [[path, 5], [path, 6]]);
  },
);
