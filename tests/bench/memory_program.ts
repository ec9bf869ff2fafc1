/**
 * The program that memory_bench.ts looks at: a machine whose vCPUs halt, as an idle guest's do. It prints where guest RAM lies once
 * all vCPUs run; for a line of input it prints one and then gives back what start-up needed, as `run` and `boot` do, only sooner.
 *
 *   memory_program CPUS
 *
 * @module
 */

import { LateTrim } from "../../src/cli/late_trim.ts";
import { Mapping } from "../../src/host/mapping.ts";
import { buildMachine } from "../../src/machine/builder.ts";
import { VcpuState } from "../../src/vcpu/control.ts";
import { Assembler, tinyLoader } from "../support/tiny_guest.ts";

/** In ms. */
const DELAYS = [300, 1000];

const cpus = Number(Deno.args[0]);
const ram: { readonly address: number; readonly size: number }[] = [];
const machine = await buildMachine({ cpus, memory: 512 * 2 ** 20 }, {
  loader: tinyLoader(...new Array<Assembler>(cpus).fill(new Assembler().bytes(0xfb, 0xf4))),
  allocate(size) {
    const mapping = Mapping.anonymous(size, { noReserve: true });
    ram.push({ address: mapping.address, size });
    return mapping;
  },
});
void machine.run();
while (machine.vcpuStates.some((state) => state !== VcpuState.running)) {
  await new Promise((resolve) => setTimeout(resolve, 10));
}
print(JSON.stringify(ram));
for await (const _line of Deno.stdin.readable) {
  print("");
  new LateTrim({ delays: DELAYS });
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
