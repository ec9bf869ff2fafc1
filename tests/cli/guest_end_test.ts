import { assertEquals } from "@std/assert";
import { endByLog, endByReport } from "../../src/cli/guest_end.ts";

Deno.test("endByReport() takes an end before init reported in for a crash", () => {
  const end = (reason: "powered-off" | "reboot" | "crashed" | "halted", ready: boolean) =>
    endByReport({ reason, text: "It ended" }, { ready });
  assertEquals(end("powered-off", true), { kind: "powered-off" });
  assertEquals(end("reboot", true), { kind: "reboot" });
  const text = "It ended before its init had reported in";
  assertEquals(end("reboot", false), { kind: "crashed", text });
  assertEquals(end("powered-off", false), { kind: "crashed", text });
  assertEquals(end("crashed", true), { kind: "crashed", text: "It ended" });
  assertEquals(end("halted", true), { kind: "crashed", text: "It ended" });
});

const PANIC = "[ 1.0] Kernel panic - not syncing: VFS: no root\r\n[ 1.0] CPU: 0\r\n";

Deno.test("endByLog() takes a halted guest for a crashed one", () => {
  assertEquals(endByLog({ reason: "halted", text: "x" }, ""), { kind: "crashed", text: "x" });
});

Deno.test("endByLog() takes a reset after a panic for a crash, and an older panic for none", () => {
  assertEquals(endByLog({ reason: "reboot", text: "x" }, ""), { kind: "reboot" });
  assertEquals(endByLog({ reason: "reboot", text: "x" }, PANIC), {
    kind: "crashed",
    text: "The guest's kernel panicked and reset: VFS: no root",
  });
  const old = PANIC + "-".repeat(16384);
  assertEquals(endByLog({ reason: "reboot", text: "x" }, old), { kind: "reboot" });
  assertEquals(endByLog({ reason: "powered-off", text: "x" }, PANIC), { kind: "powered-off" });
});
