import { assert, assertEquals } from "@std/assert";
import { apicIds } from "../../src/arch/x86_64/topology.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { buildMachine } from "../../src/machine/builder.ts";
import type { Loader, MachineInfo } from "../../src/machine/loader.ts";
import { previewMachine } from "../../src/machine/preview.ts";
import { openResources } from "../../src/machine/resources.ts";
import { FakeKvm } from "../support/fake_kvm.ts";
import { requirement } from "../support/require.ts";
import { Assembler, tinyLoader } from "../support/tiny_guest.ts";

if (!requirement("ffi").ignore) openAllGroups();

/** A loader that only keeps what it is told. */
class CuriousLoader implements Loader {
  info: MachineInfo | undefined;
  readonly #loader = tinyLoader(new Assembler().spin());

  loadMemory(...[info, memory]: Parameters<Loader["loadMemory"]>): void | Promise<void> {
    this.info = info;
    return this.#loader.loadMemory(info, memory);
  }

  loadVcpu(...[info, index]: Parameters<Loader["loadVcpu"]>): ReturnType<Loader["loadVcpu"]> {
    return this.#loader.loadVcpu(info, index);
  }
}

Deno.test(
  "a loader is told of the RAM, vCPUs and devices that check shows (row 0.15)",
  requirement("ffi"),
  async () => {
    const config = {
      memory: 4 * 2 ** 20,
      cpus: 2,
      maxCpus: 4,
      topology: { sockets: 2, cores: 1, threads: 2 },
      uuid: "8c36a6f5-0d1e-4b3a-9c3d-0123456789ab",
      console: { input: -1, output: -1, escape: false, columns: 80, rows: 24 },
      disks: [{ size: 4096 }, { size: 8192, id: "scratch" }],
    };
    using resources = openResources(config);
    const preview = previewMachine(config, resources);
    const loader = new CuriousLoader();
    await using _machine = await buildMachine(config, { loader, resources, driver: new FakeKvm() });
    const { info } = loader;
    assert(info !== undefined);
    assertEquals([info.memorySize, info.cpus, info.uuid], [4 * 2 ** 20, 2, config.uuid]);
    assertEquals(info.ram, preview.slots.map(({ address, size }) => ({ address, size })));
    assertEquals(apicIds(info.topology), [...preview.apicIds, ...preview.laterApicIds]);
    assertEquals(
      info.devices.map(({ id, windows, gsi }) => ({ id, windows, gsi })),
      preview.devices.map(({ id, windows, gsi }) => ({ id, windows, gsi })),
    );
    assertEquals(info.devices.map(({ kind, options }) => options["device"] ?? kind).slice(-4), [
      "console",
      "blk",
      "blk",
      "rng",
    ]);
  },
);
