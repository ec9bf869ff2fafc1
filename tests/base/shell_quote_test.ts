import { assertEquals } from "@std/assert";
import { shellQuote } from "../../src/base/shell_quote.ts";

Deno.test("shellQuote() makes one word of anything, without NUL", () => {
  assertEquals(shellQuote("a 'b' $c"), `'a '\\''b'\\'' $c'`);
  assertEquals(shellQuote("a\0b"), "'ab'");
});
