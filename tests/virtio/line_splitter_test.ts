import { assertEquals } from "@std/assert";
import { LineSplitter } from "../../src/virtio/line_splitter.ts";

function split(limit: number, ...texts: string[]): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter(limit, (line) => lines.push(line));
  for (const text of texts) splitter.push(new TextEncoder().encode(text));
  return lines;
}

Deno.test("LineSplitter gives lines that came in pieces", () => {
  assertEquals(split(64, "rea", "dy\nexi", "t 3\n\nre", "st"), ["ready", "exit 3", ""]);
});

Deno.test("LineSplitter cuts a line that is too long and goes on with the next", () => {
  assertEquals(split(4, "abcdefgh\nij\n"), ["abcd", "ij"]);
  assertEquals(split(4, "abc", "def", "gh\nij\n"), ["abcd", "ij"]);
});

Deno.test("LineSplitter keeps text whose characters are split", () => {
  const lines: string[] = [];
  const splitter = new LineSplitter(64, (line) => lines.push(line));
  for (const byte of new TextEncoder().encode("größe €\n")) splitter.push(Uint8Array.of(byte));
  assertEquals(lines, ["größe €"]);
});

Deno.test("LineSplitter.clear() forgets the line that has begun", () => {
  const lines: string[] = [];
  const splitter = new LineSplitter(64, (line) => lines.push(line));
  splitter.push(new TextEncoder().encode("half"));
  splitter.clear();
  splitter.push(new TextEncoder().encode("whole\n"));
  assertEquals(lines, ["whole"]);
});
