import { assertEquals } from "@std/assert";
import { tableOf } from "../../src/cli/boot_timer.ts";

Deno.test("tableOf() gives each moment's time since the first and since the one before", () => {
  const table = tableOf([
    { name: "process", at: 1000 },
    { name: "init", at: 2500.04 },
    { name: "VM created", at: 1040.5 },
  ]);
  assertEquals(table.split("\n"), [
    "Boot timer: ms since the start, ms since the row above",
    "      0.0       0.0  process",
    "     40.5      40.5  VM created",
    "   1500.0    1459.5  init",
  ]);
});
