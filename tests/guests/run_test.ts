/** `vireo run` from its description to its end, with a tiny guest in a kernel's clothes, on whatever KVM there is. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConfigError } from "../../src/base/errors.ts";
import { BootTimer } from "../../src/cli/boot_timer.ts";
import { RunLog } from "../../src/cli/run_log.ts";
import { type RunEnd, runSession } from "../../src/cli/run_session.ts";
import { StopRequest } from "../../src/cli/stop_request.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { ACPI_RESET_VALUE } from "../../src/abi/acpi.ts";
import { MARKER_PORT } from "../../src/arch/x86_64/layout.ts";
import { describe } from "../support/describe.ts";
import {
  ENTRY,
  guestKernel,
  POWER_OFF,
  RESET,
  says,
  SLEEP_CONTROL,
} from "../support/guest_kernel.ts";
import { requirement } from "../support/require.ts";
import type { Assembler } from "../support/tiny_guest.ts";

openAllGroups();

const MIB = 2 ** 20;

/** Runs a guest in a folder of its own; gives how it ended and what it said. */
async function runGuest(
  guest: Assembler,
  given: (folder: string) => Readonly<Record<string, object>>,
  look: (folder: string) => void = () => {},
  done: (folder: string) => boolean = () => false,
  timer: BootTimer | undefined = undefined,
): Promise<{ readonly end: RunEnd; readonly text: string; readonly log: string }> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-run-" });
  try {
    await Deno.writeFile(`${folder}/vmlinuz`, guestKernel(guest));
    const description = describe({
      kernel: { path: `${folder}/vmlinuz` },
      console: { backend: "none" },
      serial: { backend: "file", path: `${folder}/serial` },
      log: { file: `${folder}/log` },
      ...given(folder),
    });
    using log = new RunLog(description);
    using stop = new StopRequest(() => {});
    stop.startTimeout(30_000);
    const poll = setInterval(() => {
      if (done(folder)) stop.request({ kind: "quit" });
    }, 20);
    const run = runSession({ description, log, stop, timer });
    const end = await run.finally(() => clearInterval(poll));
    look(folder);
    const text = await Deno.readTextFile(`${folder}/serial`);
    return { end, text, log: await Deno.readTextFile(`${folder}/log`) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const RAM = { memory: { size: "32M" } };

Deno.test(
  "vireo run boots a kernel that a description names, and ends as it powers off",
  requirement("kvm"),
  async () => {
    const { end, text } = await runGuest(says("Hi").eax(POWER_OFF).out(SLEEP_CONTROL), () => RAM);
    assertEquals([end.kind, text], ["powered-off", "Hi"]);
  },
);

Deno.test(
  "vireo run keeps RAM in the described file",
  requirement("kvm"),
  async () => {
    const memory = (folder: string) => ({
      memory: { size: "32M", path: `${folder}/ram`, prealloc: true },
    });
    const guest = says("x").eax(POWER_OFF).out(SLEEP_CONTROL);
    await runGuest(guest, memory, (folder) => {
      const ram = Deno.readFileSync(`${folder}/ram`);
      assertEquals(ram.length, 32 * MIB);
      // The kernel lies at 1 MiB; its entry begins with `mov eax, "x"`.
      assertEquals([...ram.subarray(MIB + ENTRY, MIB + ENTRY + 2)], [0xb8, 120]);
    });
  },
);

Deno.test(
  "vireo run makes vCPUs of every topology, without the features taken away",
  requirement("kvm"),
  async () => {
    const cpu = { sockets: 2, cores: 3, features: ["-avx2", "-rdrand"] };
    const guest = says("6").eax(POWER_OFF).out(SLEEP_CONTROL);
    const { end, text } = await runGuest(guest, () => ({ ...RAM, cpu }));
    assertEquals([end.kind, text], ["powered-off", "6"]);
  },
);

Deno.test(
  "vireo run starts a guest that reboots again where the description says so",
  requirement("kvm"),
  async () => {
    const guest = () => says("r").eax(ACPI_RESET_VALUE).out(RESET);
    const once = await runGuest(guest(), () => RAM);
    assertEquals([once.end.kind, once.text], ["reboot", "r"]);
    const isTwice = (folder: string) => Deno.statSync(`${folder}/serial`).size >= 2;
    const disk = [{ size: "1M" }];
    const machine = { on_reboot: "restart" };
    const again = await runGuest(guest(), () => ({ ...RAM, disk, machine }), () => {}, isTwice);
    assertEquals(again.end.kind, "quit");
    assert(again.text.startsWith("rr"), again.text);
    assert(again.log.includes("The guest rebooted; starting it again"), again.log);
  },
);

Deno.test("vireo run names the key that the host refuses", requirement("kvm"), async () => {
  const folder = (path: string) => ({ ...RAM, disk: [{ path: `${path}/none.img` }] });
  await assertRejects(
    () => runGuest(says(""), folder),
    ConfigError,
    "disk[0].path: Cannot use disk",
  );
  const huge = { memory: { size: "1T", hugepages: true } };
  await assertRejects(() => runGuest(says(""), () => huge), ConfigError, "memory.");
});

Deno.test(
  "vireo run --boot-timer tells each start of the guest, with the guest's own marks",
  requirement("kvm"),
  async () => {
    const tables: string[] = [];
    const timer = new BootTimer((table) => tables.push(table));
    const guest = says("a").eax(0x31).out(MARKER_PORT).eax(ACPI_RESET_VALUE).out(RESET);
    const machine = () => ({ ...RAM, machine: { on_reboot: "restart" } });
    const { end } = await runGuest(guest, machine, undefined, () => tables.length >= 2, timer);
    assertEquals(end.kind, "quit");
    const names = tables.map((table) => table.split("\n").slice(1).map((row) => row.slice(21)));
    const started = ["VM created", "kernel in memory", "first KVM_RUN", "first serial output"];
    const [first, second] = names;
    assertEquals(first, [
      "process, to 10 ms",
      "program loaded",
      ...started,
      "mark 0x31",
      "guest's end",
    ]);
    assertEquals(second?.[0], "restart");
  },
);
