import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../src/base/errors.ts";
import { parseDuration, parseSize } from "../../src/config/units.ts";

Deno.test("parseSize() takes units of 1024, MiB where there is none", () => {
  const cases = {
    "512": 2 ** 29,
    "1K": 1024,
    "3m": 3 * 2 ** 20,
    "2G": 2 ** 31,
    "1TiB": 2 ** 40,
    "4GB": 2 ** 32,
  };
  for (const [text, bytes] of Object.entries(cases)) assertEquals(parseSize(text, "x"), bytes);
});

Deno.test("parseSize() refuses what is no whole size", () => {
  for (
    const text of ["", "G", "1.5G", "-1M", "1e3", "1 G", "1GiBB", "0x10", "99999999999T", "1iB"]
  ) {
    assertThrows(() => parseSize(text, "--memory"), ConfigError, `--memory: "${text}" is no size`);
  }
});

Deno.test("parseDuration() takes ms, s, m and h, seconds where there is none", () => {
  const cases = { "30": 30_000, "1.5s": 1500, "250ms": 250, "2m": 120_000, "1h": 3_600_000 };
  for (const [text, time] of Object.entries(cases)) assertEquals(parseDuration(text, "x"), time);
});

Deno.test("parseDuration() refuses no time, nonsense, and what no timer can wait", () => {
  for (const text of ["", "0", "0.0001ms", "-1s", "5d", "1 s", "s", "1e3", "25000h", "Infinity"]) {
    assertThrows(() => parseDuration(text, "--timeout"), ConfigError, `--timeout: "${text}"`);
  }
});
