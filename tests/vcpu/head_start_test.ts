import { assertEquals, assertGreater, assertRejects } from "@std/assert";
import { EINTR } from "../../src/abi/linux.ts";
import { KVM_EXIT_IO } from "../../src/abi/kvm.ts";
import { DEBUG_EXIT_PORT } from "../../src/arch/x86_64/layout.ts";
import { VireoError } from "../../src/base/errors.ts";
import { runSignalMask } from "../../src/host/thread.ts";
import { hostDriver, type KvmDriver } from "../../src/kvm/driver.ts";
import { MachineEvents } from "../../src/machine/events.ts";
import { buildMachine } from "../../src/machine/builder.ts";
import { VcpuHandle } from "../../src/machine/vcpu_handle.ts";
import { SharedState } from "../../src/memory/shared_state.ts";
import { VCPU_CONTROL_SIZE, VcpuControl, VcpuState } from "../../src/vcpu/control.ts";
import { endHeadStart, headStartPays } from "../../src/vcpu/head_start.ts";
import { BareGuest } from "../support/bare_guest.ts";
import { libcRequirement } from "../support/libc.ts";
import { comes, pause } from "../support/pause.ts";
import { Assembler, tinyLoader } from "../support/tiny_guest.ts";

const needs = libcRequirement("kvm");
const COUNTER = 0x8000;
const UNUSED_PORT = 0x510;
const LATE = 20_000;
/** A module that a worker waits for, for ever. */
const NEVER_LOADED = "data:text/javascript,await new Promise(() => {});";

/** A guest that counts and never exits. */
const COUNTING = () => new Assembler().label("again").lockInc(COUNTER).jump("again");

/** A guest whose KVM_RUN kicks cut short, as the builder makes them. */
function kickable(code: Assembler): BareGuest {
  const guest = new BareGuest(code);
  guest.vcpu.setSignalMask(runSignalMask());
  return guest;
}

function newControl(): VcpuControl {
  const state = SharedState.create(65536);
  return new VcpuControl(state, state.allocate(VCPU_CONTROL_SIZE, "vCPU 0"));
}

function counterOf({ memory }: BareGuest): number {
  return new DataView(memory.buffer).getUint32(COUNTER, true);
}

async function counts(guest: BareGuest): Promise<void> {
  const before = counterOf(guest);
  await comes(() => counterOf(guest) !== before);
}

Deno.test("headStartPays() where a vCPU changes threads without waiting", () => {
  assertEquals(headStartPays("6.13.0"), true);
  assertEquals(headStartPays("7.0-rc1"), true);
  assertEquals(headStartPays("6.18.44-amd64"), true);
  assertEquals(headStartPays("6.12.48+deb13-amd64"), false);
  assertEquals(headStartPays("5.15.0-91-generic"), false);
  assertEquals(headStartPays("unreadable"), false);
});

Deno.test("a head start runs the guest until it is ended, once", needs, async () => {
  using guest = kickable(COUNTING());
  const control = newControl();
  using thread = guest.vcpu.runApart();
  control.announceHeadStart();
  await counts(guest);
  assertEquals(endHeadStart(guest.vcpu, control, thread.id), -EINTR);
  const last = counterOf(guest);
  await pause(20);
  assertEquals(counterOf(guest), last);
  assertEquals(endHeadStart(guest.vcpu, control, thread.id), undefined);
});

Deno.test("a head start leaves the guest's exit to who ends it", needs, async () => {
  using guest = kickable(new Assembler().eax(0x42).out(UNUSED_PORT).spin());
  const control = newControl();
  using thread = guest.vcpu.runApart();
  control.announceHeadStart();
  await comes(() => guest.vcpu.exit.reason === KVM_EXIT_IO);
  assertEquals(endHeadStart(guest.vcpu, control, thread.id), 0);
  assertEquals([guest.vcpu.exit.port, guest.vcpu.exit.portValue(0)], [UNUSED_PORT, 0x42]);
});

Deno.test(
  "a vCPU runs while its worker comes up, and stops if that never does",
  needs,
  async () => {
    using guest = kickable(COUNTING());
    const state = SharedState.create(65536);
    const control = new VcpuControl(state, state.allocate(VCPU_CONTROL_SIZE, "vCPU 0"));
    let begun = 0;
    using handle = new VcpuHandle({
      vcpu: guest.vcpu,
      control,
      events: new MachineEvents({}),
      machine: {
        state: state.buffer,
        table: 0,
        end: 0,
        ringLock: 0,
        marks: -1,
        modules: [{ url: NEVER_LOADED, device: "late" }],
      },
      headStart: () => begun++,
    });
    handle.start();
    await counts(guest);
    assertEquals([control.state, begun], [VcpuState.starting, 1]);
    await assertRejects(() => handle.join(100), VireoError, "Cannot stop vCPU 0");
    const last = counterOf(guest);
    await pause(20);
    assertEquals(counterOf(guest), last);
  },
);

Deno.test(
  "Machine.run() does without a head start where no thread can be made",
  needs,
  async () => {
    const driver: KvmDriver = {
      ...hostDriver,
      runApart() {
        throw new Error("on purpose");
      },
    };
    const loader = tinyLoader(new Assembler().eax(0x42).out(DEBUG_EXIT_PORT).spin());
    const config = { memory: 4 * 2 ** 20, debugExit: true };
    const parts = { loader, driver, startOrder: "guest-first" } as const;
    await using machine = await buildMachine(config, parts);
    assertEquals((await machine.run({ signal: AbortSignal.timeout(LATE) })).detail, 0x42);
  },
);

for (const startOrder of ["together", "worker-first", "guest-first"] as const) {
  Deno.test(`Machine.run() answers the guest's first exit, ${startOrder}`, needs, async () => {
    const guest = new Assembler().eax(0x42).out(DEBUG_EXIT_PORT).spin();
    const config = { memory: 4 * 2 ** 20, debugExit: true };
    await using machine = await buildMachine(config, { loader: tinyLoader(guest), startOrder });
    const { reason, detail } = await machine.run({ signal: AbortSignal.timeout(LATE) });
    assertEquals([reason, detail], ["debug-exit", 0x42]);
  });

  Deno.test(
    `Machine.pause() right after the start stops the guest, ${startOrder}`,
    needs,
    async () => {
      const loader = tinyLoader(COUNTING());
      await using machine = await buildMachine({ memory: 4 * 2 ** 20 }, { loader, startOrder });
      const abort = new AbortController();
      const run = machine.run({ signal: abort.signal });
      await machine.pause();
      const last = machine.memory.readU32(COUNTER);
      await pause(20);
      assertEquals(machine.memory.readU32(COUNTER), last);
      await machine.resume();
      await comes(() => machine.memory.readU32(COUNTER) !== last);
      abort.abort();
      assertEquals((await run).reason, "interrupted");
      assertGreater(machine.memory.readU32(COUNTER), last);
    },
  );
}
