import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { textRanges } from "../../src/host/trim.ts";
import { requirement } from "../support/require.ts";

const MAPS = `10000-20000 rw-p 00000000 00:00 0
555000-556000 r--p 00000000 fe:00 247278                     /opt/a program
556000-55a000 r-xp 00001000 fe:00 247278                     /opt/a program
55a000-55b000 r--p 00005000 fe:00 247278                     /opt/a program
55b000-55c000 rw-p 00006000 fe:00 247278                     /opt/a program
7f0000-7f2000 r-xp 00000000 fe:00 100                        /lib/libc.so.6
7f2000-7f3000 r-xp 00002000 fe:00 247278                     /opt/a program
7f4000-7f5000 r-xp 00000000 00:00 0                          [vdso]
`;

Deno.test("textRanges() finds code and the program's first constants, never data", () => {
  assertEquals(textRanges(MAPS), [
    { start: 0x555000, end: 0x556000 },
    { start: 0x556000, end: 0x55a000 },
    { start: 0x7f0000, end: 0x7f2000 },
    { start: 0x7f2000, end: 0x7f3000 },
  ]);
});

Deno.test(
  "trimMemory() gives memory back and the program goes on",
  requirement(),
  async () => {
    const module = new URL("../../src/host/trim.ts", import.meta.url).href;
    const code = `
    // Resident, not proportional: other programs of the same file come and go.
    const resident = () => Number(/^Rss: +(\\d+)/m.exec(Deno.readTextFileSync("/proc/self/smaps_rollup"))[1]);
    const { trimMemory } = await import("${module}");
    const before = resident();
    const bytes = trimMemory();
    const after = resident();
    const sum = (await crypto.subtle.digest("SHA-256", new Uint8Array(3))).byteLength;
    console.log(JSON.stringify({ before, bytes, after, sum }));`;
    const args = ["eval", "--no-check", code];
    const { stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
    const { before, bytes, after, sum } = JSON.parse(new TextDecoder().decode(stdout));
    assertGreater(bytes, 2 ** 24);
    assertLess(after, before - 4000);
    assertEquals(sum, 32);
  },
);

Deno.test(
  "trimHeap() gives back what was freed below a block that is still in use",
  requirement("ffi"),
  async () => {
    const module = new URL("../../src/host/trim.ts", import.meta.url).href;
    const code = `
    const anonymous = () => Number(/^Anonymous: +(\\d+)/m.exec(Deno.readTextFileSync("/proc/self/smaps_rollup"))[1]);
    const { trimHeap } = await import("${module}");
    const { malloc, memset, free } = Deno.dlopen("libc.so.6", {
      malloc: { parameters: ["usize"], result: "pointer" },
      memset: { parameters: ["pointer", "i32", "usize"], result: "pointer" },
      free: { parameters: ["pointer"], result: "void" },
    }).symbols;
    const blocks = Array.from({ length: 4096 }, () => memset(malloc(4096n), 1, 4096n));
    for (const block of blocks.slice(0, -1)) free(block);
    const before = anonymous();
    trimHeap();
    console.log(JSON.stringify({ before, after: anonymous() }));`;
    const args = ["eval", "--no-check", code];
    const { stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
    const { before, after } = JSON.parse(new TextDecoder().decode(stdout));
    assertLess(after, before - 12_000);
  },
);
