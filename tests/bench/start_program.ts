/**
 * The program that start_bench.ts starts: a machine whose guest's first instruction signals the eventfd that the launcher made.
 * Where PHASES is in the environment it first prints when it reached what, as JSON: name to ms since the epoch.
 *
 * @module
 */

import { mark, marks } from "./start_marks.ts";
import { buildMachine } from "../../src/machine/builder.ts";
import type { Loader } from "../../src/machine/loader.ts";
import { type Platform, x86Platform } from "../../src/machine/platform.ts";
import { Assembler, tinyLoader } from "../support/tiny_guest.ts";

/** A port that belongs to no device. */
const PORT = 0x510;

const tiny = tinyLoader(new Assembler().out(PORT).halt());
const loader: Loader = {
  loadMemory(info, memory) {
    mark("memory and devices");
    return tiny.loadMemory(info, memory);
  },
  loadVcpu: tiny.loadVcpu,
};
const platform: Platform = {
  setupVm(vm) {
    x86Platform.setupVm(vm, true);
    mark("VM");
  },
  setupMemory: x86Platform.setupMemory,
  setupVcpu(vcpu, index, facts) {
    mark("vCPU, its worker");
    x86Platform.setupVcpu(vcpu, index, facts);
  },
};

mark("modules run");
const machine = await buildMachine({ memory: 4 * 2 ** 20 }, { loader, platform });
const event = Number(Deno.env.get("EVENT"));
machine.vm.assignIoEvent({ fd: event, address: PORT, length: 1, port: true });
mark("CPUID, tables, registers");
if (Deno.env.has("PHASES")) {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(marks)}\n`));
}
await machine.run();
