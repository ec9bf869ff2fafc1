/** One Linux guest after another in one process. */

import { assert, assertEquals } from "@std/assert";
import { openDescriptors, statusKib } from "../support/libc.ts";
import { askGuest, linuxRequirement } from "../support/linux_guest.ts";
import { pause } from "../support/pause.ts";
import { progress } from "../support/progress.ts";

const BOOTS = 20;
/** Boots until what a process makes once is made. */
const WARM = 5;
const MOST_GROWTH_MIB = 64;

Deno.test(
  `Linux boots ${BOOTS} times in a row, and leaves no descriptor, thread or memory behind`,
  linuxRequirement(),
  async () => {
    const left: { descriptors: number; threads: number; resident: number }[] = [];
    for (let boot = 1; boot <= BOOTS; boot++) {
      progress(`boot ${boot} of ${BOOTS}`);
      const output = await askGuest({
        command: "cat /proc/sys/kernel/random/boot_id; nproc",
        config: { cpus: 2 },
      });
      assertEquals(output.split("\n")[1], "2");
      left.push(await settled());
    }
    const [warm, last] = [left[WARM - 1], left.at(-1)];
    assert(warm !== undefined && last !== undefined);
    assertEquals(last.descriptors, warm.descriptors, JSON.stringify(left));
    assert(last.threads <= warm.threads, JSON.stringify(left));
    assert(last.resident - warm.resident < MOST_GROWTH_MIB * 1024, JSON.stringify(left));
  },
);

/** What this process holds once the workers' threads are gone. */
async function settled(): Promise<{ descriptors: number; threads: number; resident: number }> {
  const deadline = performance.now() + 5000;
  let threads = threadCount();
  let steady = 0;
  while (steady < 3 && performance.now() < deadline) {
    await pause(50);
    const now = threadCount();
    steady = now === threads ? steady + 1 : 0;
    threads = now;
  }
  return { descriptors: openDescriptors(), threads, resident: statusKib("VmRSS") };
}

function threadCount(): number {
  return [...Deno.readDirSync("/proc/self/task")].length;
}
