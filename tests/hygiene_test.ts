import { assertEquals } from "@std/assert";
import { requirement } from "./support/require.ts";

/** Paths of one machine, and hosts of package registries: neither belongs in a project. */
const FOREIGN = String
  .raw`(^|[^a-zA-Z0-9._}-])/(work|farm|root)/|https?://[a-z0-9.-]*(npm|debian|jsr)[a-z0-9.-]*`;

/** Lines of `git grep` in a folder; without `files` in all that git tracks there. */
async function grep(folder: string | URL, files: readonly string[] = []): Promise<string[]> {
  const untracked = files.length > 0 ? ["--no-index"] : [];
  const { stdout } = await new Deno.Command("git", {
    args: ["grep", ...untracked, "-nIE", FOREIGN, "--", ...files],
    cwd: folder,
  }).output();
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
}

Deno.test(
  "no tracked file names a path of a machine or a registry's host",
  requirement("git"),
  async () => {
    const root = new URL("../", import.meta.url);
    assertEquals(await grep(root), []);
  },
);

Deno.test("the search for foreign names finds what it is for", requirement("git"), async () => {
  const folder = await Deno.makeTempDir({ prefix: "vireo-hygiene-" });
  // In pieces, so that this file itself has none of them.
  const bad = [["run /", "root/x.sh"], ["https:", "//registry.npmjs.org/a"], [
    "see http:",
    "//deb.debian.org/",
  ]].map((pieces) => pieces.join(""));
  const good = [
    ["the root/ folder"],
    ["const work = /a/;"],
    ["/usr/lib/debian"],
    ["src/wo", "rk/x"],
    ["${folder}/ro", "ot/boot"],
  ].map((pieces) => pieces.join(""));
  await Deno.writeTextFile(`${folder}/a.txt`, [...bad, ...good].join("\n"));
  const found = await grep(folder, ["a.txt"]);
  await Deno.remove(folder, { recursive: true });
  assertEquals(found, bad.map((line, i) => `a.txt:${i + 1}:${line}`));
});
