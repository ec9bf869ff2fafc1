import { assertEquals } from "@std/assert";
import { pruneBuilds, useBuild } from "../../src/rig/builds.ts";
import { libcRequirement } from "../support/libc.ts";

const NAMES = ["0123456789abcdef", "1111111111111111", "2222222222222222", "3333333333333333"];

/** A cache folder of builds; the last one was never finished. */
async function builds(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-test-" });
  for (const name of NAMES) await Deno.mkdir(`${folder}/${name}/root`, { recursive: true });
  for (const name of NAMES.slice(0, 3)) await Deno.writeTextFile(`${folder}/${name}/vmlinux`, "");
  await Deno.writeTextFile(`${folder}/.lock`, "");
  return folder;
}

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
}

Deno.test(
  "pruneBuilds() leaves the newest build and those in use, nothing else",
  libcRequirement(),
  async () => {
    const folder = await builds();
    const [newest = "", used = ""] = NAMES;
    const use = useBuild(`${folder}/${used}`);
    await pruneBuilds(folder, `${folder}/${newest}`);
    assertEquals(await namesIn(folder), [".lock", newest, used]);
    use?.[Symbol.dispose]();
    await pruneBuilds(folder, `${folder}/${newest}`);
    assertEquals(await namesIn(folder), [".lock", newest]);
    await Deno.remove(folder, { recursive: true });
  },
);

Deno.test(
  "useBuild() lets any number use a build, and knows when there is none",
  libcRequirement(),
  async () => {
    const folder = await builds();
    const [name = "", , , unfinished = ""] = NAMES;
    using first = useBuild(`${folder}/${name}`);
    using second = useBuild(`${folder}/${name}`);
    assertEquals([first, second].includes(undefined), false);
    assertEquals(useBuild(`${folder}/${unfinished}`), undefined);
    assertEquals(useBuild(`${folder}/ffffffffffffffff`), undefined);
    await Deno.remove(folder, { recursive: true });
  },
);
