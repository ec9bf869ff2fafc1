import { assertEquals } from "@std/assert";
import { INITRAMFS_INIT, initScript, type Mount } from "../../src/rig/init.ts";
import { requirement } from "../support/require.ts";

/** Paths as users have them. */
const AWKWARD = `/home/a b/it's "x",$y`;

function scriptFor(mode: Mount["mode"]): string {
  return initScript({
    mounts: [{ path: AWKWARD, mode }],
    agent: [`${AWKWARD}/deno`, "run"],
    deno: `${AWKWARD}/deno`,
    env: { DENO_DIR: AWKWARD },
  });
}

async function shellStatus(args: readonly string[]): Promise<number> {
  const { code } = await new Deno.Command("sh", { args: [...args], stderr: "inherit" }).output();
  return code;
}

Deno.test("the shell parses the initramfs's init", requirement(), async () => {
  assertEquals(await shellStatus(["-n", "-c", INITRAMFS_INIT]), 0);
});

for (const mode of ["shared", "constant", "scratch"] as const) {
  Deno.test(`the shell parses L1's init with a ${mode} mount`, requirement(), async () => {
    assertEquals(await shellStatus(["-n", "-c", scriptFor(mode)]), 0);
  });
}

Deno.test("initScript() hands an awkward path on as one word", requirement(), async () => {
  const line = scriptFor("shared").split("\n").find((line) => line.startsWith("export DENO_DIR"));
  assertEquals(await shellStatus(["-c", `${line}; [ "$DENO_DIR" = "$1" ]`, "sh", AWKWARD]), 0);
});

Deno.test("initScript() mounts read only what is not shared", () => {
  const readOnly = (["shared", "constant", "scratch"] as const)
    .map((mode) => scriptFor(mode).split("\n").filter((line) => line.includes("-t 9p")))
    .map((lines) => lines.every((line) => line.includes(",ro")));
  assertEquals(readOnly, [false, true, true]);
});
