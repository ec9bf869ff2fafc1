import { assertEquals } from "@std/assert";
import { CoalescedWatch } from "../../src/machine/coalesced_watch.ts";
import { VcpuState } from "../../src/vcpu/control.ts";
import { pause } from "../support/pause.ts";

/** A vCPU in a state, with its ring; it notes its kicks. */
function vcpu(state: VcpuState, ring: { readonly pending: boolean } | undefined, kicks: string[]) {
  return {
    vcpu: { coalesced: ring },
    control: { state },
    kick: () => void kicks.push(`state ${state}`),
  };
}

/** Watches for three times the time that a write may wait. */
async function watched(vcpus: ReturnType<typeof vcpu>[]): Promise<void> {
  using _watch = new CoalescedWatch(vcpus);
  await pause(350);
}

Deno.test("CoalescedWatch kicks a vCPU that runs while writes wait", async () => {
  const kicks: string[] = [];
  const ring = { pending: true };
  await watched([vcpu(VcpuState.paused, ring, kicks), vcpu(VcpuState.running, ring, kicks)]);
  assertEquals(kicks[0], `state ${VcpuState.running}`);
});

Deno.test("CoalescedWatch leaves vCPUs alone when nothing waits, and where there is no ring", async () => {
  const kicks: string[] = [];
  await watched([vcpu(VcpuState.running, { pending: false }, kicks)]);
  await watched([vcpu(VcpuState.running, undefined, kicks)]);
  assertEquals(kicks, []);
});
