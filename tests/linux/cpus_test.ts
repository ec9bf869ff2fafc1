/** vCPUs as Linux and the host see them. */

import { assertEquals } from "@std/assert";
import { askGuest, linuxRequirement } from "../support/linux_guest.ts";
import { vcpuThreads, vcpuThreadsLeft } from "./host_threads.ts";

for (const cpus of [1, 2, 4, 8]) {
  Deno.test(
    `Linux runs on ${cpus} vCPUs, each a thread of the host (rows 3.3, 3.24)`,
    linuxRequirement(),
    async () => {
      let threads: string[] = [];
      const output = await askGuest({
        command: "nproc; cat /proc/cpuinfo",
        config: { cpus },
        whenReady: () => {
          threads = vcpuThreads();
        },
      });
      const numbers = Array.from({ length: cpus }, (_, index) => index);
      assertEquals(Number(output.split("\n")[0]), cpus);
      assertEquals(cpuField(output, "processor"), numbers);
      assertEquals(cpuField(output, "apicid"), numbers);
      assertEquals(cpuField(output, "initial apicid"), numbers);
      assertEquals(cpuField(output, "core id"), numbers);
      assertEquals(cpuField(output, "cpu cores"), numbers.map(() => cpus));
      assertEquals(cpuField(output, "siblings"), numbers.map(() => cpus));
      assertEquals(new Set(cpuField(output, "physical id")), new Set([0]));
      assertEquals(threads, numbers.map((index) => `vcpu_${index}`));
      assertEquals(await vcpuThreadsLeft(), []);
    },
  );
}

for (const startOrder of ["worker-first", "guest-first"] as const) {
  Deno.test(`Linux boots on 2 vCPUs, ${startOrder}`, linuxRequirement(), async () => {
    assertEquals(await askGuest({ command: "nproc", config: { cpus: 2 }, startOrder }), "2\n");
    assertEquals(await vcpuThreadsLeft(), []);
  });
}

/** A field of /proc/cpuinfo, of each CPU. */
function cpuField(cpuinfo: string, name: string): number[] {
  const lines = cpuinfo.split("\n").filter((line) => line.split("\t")[0] === name);
  return lines.map((line) => Number(line.split(":")[1]));
}
