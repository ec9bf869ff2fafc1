import { assertEquals } from "@std/assert";
import { HaltWatch } from "../../src/machine/halt_watch.ts";
import { VcpuState } from "../../src/vcpu/control.ts";
import { comes, pause } from "../support/pause.ts";

/** A vCPU that answers each question with yes; it notes its kicks. */
function vcpu(sleeps: boolean, kicks: string[]) {
  let question = 0;
  return {
    control: {
      state: VcpuState.running,
      question,
      ask: () => ++question,
      answered: () => Promise.resolve(true),
      reply() {},
    },
    sleeps,
    kick: () => void kicks.push(sleeps ? "sleeper" : "runner"),
  };
}

Deno.test("HaltWatch asks vCPUs whose threads all sleep, twice, and tells that they have halted", async () => {
  const kicks: string[] = [];
  let halted = 0;
  using _watch = new HaltWatch([vcpu(true, kicks), vcpu(true, kicks)], () => halted++);
  await comes(() => halted > 0);
  assertEquals([halted, kicks.length], [1, 4]);
});

Deno.test("HaltWatch leaves vCPUs alone while one's thread runs", async () => {
  const kicks: string[] = [];
  let halted = 0;
  using _watch = new HaltWatch([vcpu(true, kicks), vcpu(false, kicks)], () => halted++);
  await pause(100);
  assertEquals([halted, kicks], [0, []]);
});
