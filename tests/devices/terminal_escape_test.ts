import { assertEquals } from "@std/assert";
import { type TerminalCommand, TerminalEscape } from "../../src/devices/terminal_escape.ts";
import { Random } from "../support/random.ts";

const encoder = new TextEncoder();

/** Types each text in a call of its own; gives what the guest saw and what was asked of the monitor. */
function type(...texts: string[]): { guest: string; commands: TerminalCommand[] } {
  const commands: TerminalCommand[] = [];
  const escape = new TerminalEscape((command) => commands.push(command));
  let guest = "";
  for (const text of texts) {
    const bytes = encoder.encode(text);
    guest += new TextDecoder().decode(bytes.subarray(0, escape.filter(bytes, bytes.length)));
  }
  return { guest, commands };
}

Deno.test("TerminalEscape.filter() passes everything but Ctrl-A", () => {
  const all = Array.from({ length: 126 }, (_, i) => String.fromCharCode(i + 2)).join("");
  assertEquals(type(all), { guest: all, commands: [] });
});

Deno.test("TerminalEscape.filter() takes Ctrl-A x out and reports quit", () => {
  assertEquals(type("ab\x01xcd"), { guest: "abcd", commands: ["quit"] });
});

Deno.test("TerminalEscape.filter() takes Ctrl-A h out and reports help", () => {
  assertEquals(type("\x01h\x01?"), { guest: "", commands: ["help", "help"] });
});

Deno.test("TerminalEscape.filter() turns Ctrl-A Ctrl-A into one Ctrl-A", () => {
  assertEquals(type("\x01\x01x\x01\x01"), { guest: "\x01x\x01", commands: [] });
});

Deno.test("TerminalEscape.filter() swallows an unknown key after Ctrl-A", () => {
  assertEquals(type("a\x01qb"), { guest: "ab", commands: [] });
});

Deno.test("TerminalEscape.filter() knows a sequence that is split over two reads", () => {
  assertEquals(type("a\x01", "x", "b\x01", "\x01"), { guest: "ab\x01", commands: ["quit"] });
});

Deno.test("TerminalEscape.filter() gives the same whatever the reads' sizes", () => {
  const random = new Random(0x7e57);
  for (let round = 0; round < 200; round++) {
    const keys = Array.from({ length: 40 }, () => "\x01\x01\x01xhq"[random.below(6)] ?? "");
    assertEquals(type(...keys), type(keys.join("")));
  }
});
