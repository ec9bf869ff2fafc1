/** COM1 as Linux uses it: by interrupts, both ways. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { Fifo } from "../support/fifo.ts";
import { linuxRequirement, runGuest, textOf } from "../support/linux_guest.ts";

Deno.test("Linux reads and writes COM1 by interrupts", linuxRequirement(), async () => {
  using input = new Fifo();
  using output = new Fifo();
  const typed = "typed on the host";
  const { outcome, status, stdout, stderr, log } = await runGuest({
    command: `
      stty -F /dev/ttyS0 raw -echo
      echo "said by the guest" > /dev/ttyS0
      head -n 1 < /dev/ttyS0
      sed -n 's/ *[0-9]*: *\\([0-9]*\\) .*ttyS0/\\1/p' /proc/interrupts`,
    config: { serial: { input: input.reader.number, output: output.writer.number } },
    whenReady: () => {
      input.put(`${typed}\n`);
    },
  });
  assertEquals([outcome.reason, status, stderr], ["powered-off", 0, ""]);
  const [line, interrupts] = textOf(stdout).split("\n");
  assertEquals(line, typed);
  assertEquals(Number(interrupts) > 0, true, `${interrupts} interrupts of ttyS0`);
  assertStringIncludes(log, "said by the guest");
  assertEquals(output.text(), log);
});
