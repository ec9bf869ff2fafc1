import { assertEquals, assertStringIncludes } from "@std/assert";
import { requirement } from "../support/require.ts";

Deno.test(
  "installPrograms() names the command to type where it cannot install",
  requirement(),
  async () => {
    const url = new URL("../../src/rig/programs.ts", import.meta.url).href;
    const script = `
      const { installPrograms } = await import(${JSON.stringify(url)});
      await installPrograms(() => {}).catch((error) => console.log(error.message));
    `;
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-check", script],
      // Without programs there is no apt-get either, so that nothing is installed by a test.
      env: { PATH: "/nonexistent" },
      stderr: "inherit",
    }).output();
    assertEquals(code, 0);
    assertStringIncludes(
      new TextDecoder().decode(stdout),
      "apt-get install -y --no-install-recommends qemu-system-x86 util-linux xz-utils zstd",
    );
  },
);
