/** What the executable is compiled with. */

import { assertEquals } from "@std/assert";
import { BOOT_FILES_VARIABLE } from "../src/cli/rig_names.ts";
import { PERMISSIONS, V8_FLAGS } from "../src/compile.ts";
import { modulesBelow, reachable, readImportGraph, workerEntries } from "./support/import_graph.ts";
import { requirement } from "./support/require.ts";

const ROOT = new URL("../", import.meta.url);

Deno.test(
  "the executable may read each variable that the program asks for",
  requirement("ffi"),
  async () => {
    const modules = await modulesBelow(ROOT, "src");
    const entries = ["src/main.ts", ...await workerEntries(ROOT, modules)];
    const reached = reachable(await readImportGraph(ROOT, modules), entries);
    const asked = new Set<string>();
    for (const module of modules.filter((module) => reached.has(module))) {
      const text = await Deno.readTextFile(new URL(module, ROOT));
      for (const [, name = ""] of text.matchAll(/Deno\.env\.get\(\s*([\w"]+)/g)) asked.add(name);
    }
    const allowed = PERMISSIONS.find((flag) => flag.startsWith("--allow-env="))?.slice(12).split(
      ",",
    );
    const names = [...asked].map((name) =>
      name === "BOOT_FILES_VARIABLE" ? BOOT_FILES_VARIABLE : name.replaceAll('"', "")
    );
    assertEquals(names.toSorted(), allowed?.toSorted());
  },
);

Deno.test("the executable asks for no permission, and has no network", () => {
  assertEquals(PERMISSIONS.includes("--no-prompt"), true);
  assertEquals(PERMISSIONS.filter((flag) => /^(-A|--allow-(all|net|import))/.test(flag)), []);
});

Deno.test("`deno task boot` and the executable tell V8 the same", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  assertEquals(/ --v8-flags=(\S+) /.exec(tasks.boot)?.[1], V8_FLAGS.join(","));
});
