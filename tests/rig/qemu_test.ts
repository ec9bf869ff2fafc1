import { assertEquals } from "@std/assert";
import { kernelCommandLine, lastWords } from "../../src/rig/qemu.ts";

function lines(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `line ${from + i}`);
}

Deno.test("the last words of a console are its last lines", () => {
  assertEquals(lastWords([...lines(0, 100), "", ""].join("\r\n")), lines(60, 100).join("\n"));
  assertEquals(lastWords("one\n"), "one");
  assertEquals(lastWords(""), "");
});

Deno.test("the last words of a console begin with the kernel's panic, however long its trace", () => {
  const panic = "[    3.5] Kernel panic - not syncing: sysrq triggered crash";
  const trace = [panic, ...lines(0, 70)];
  assertEquals(lastWords([...lines(0, 300), ...trace].join("\n")), trace.join("\n"));
  const short = [panic, ...lines(0, 3)];
  assertEquals(
    lastWords([...lines(0, 300), ...short].join("\n")),
    [...lines(264, 300), ...short].join("\n"),
  );
});

Deno.test("the rig's kernel is told how fast the TSC counts, where that is known", () => {
  assertEquals(
    kernelCommandLine(2_300_000),
    `${kernelCommandLine(undefined)} tsc_early_khz=2300000`,
  );
});
