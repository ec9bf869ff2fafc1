/**
 * Loads a Linux kernel: reads its files straight into guest memory, by the plan of the boot room.
 *
 * @module
 */

import { O_RDONLY } from "../abi/linux.ts";
import type { EntryState } from "../arch/x86_64/registers.ts";
import { MMIO_WINDOW_SIZE, type RamRegion } from "../arch/x86_64/layout.ts";
import { fitsMpTable, MP_MAX_CPUS } from "../arch/x86_64/mp_table.ts";
import { place } from "../arch/x86_64/placement.ts";
import { apicIds, type Topology } from "../arch/x86_64/topology.ts";
import { ConfigError, VireoError } from "../base/errors.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import { appendParameters, virtioMmioParameters } from "../boot/command_line.ts";
import { isGzip, unzipKernel } from "../boot/gzip_kernel.ts";
import type { FileRange, MemoryFile } from "../boot/kernel_file.ts";
import { type KernelImage, parseKernel } from "../boot/kernel_image.ts";
import { type EntryChoice, kernelRanges, type LinuxPlan, planLinux } from "../boot/linux_loader.ts";
import { OpenKernel } from "../boot/open_kernel.ts";
import { bulkRead } from "../host/bulk_read.ts";
import { Fd } from "../host/fd.ts";
import { fileStatus } from "../host/file.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { Loader, MachineInfo } from "./loader.ts";

/** What is booted. */
export interface LinuxSource {
  /** Path of a bzImage or an ELF file, either of them packed with gzip or not. */
  readonly kernel: string;
  /** Parts of the initrd, one after another: paths of files or bytes at hand. Empty for none. */
  readonly initrd: readonly (string | Uint8Array)[];
  /** The kernel's command line. */
  readonly commandLine: string;
  /** How it is entered; as its file allows where absent. */
  readonly entry?: EntryChoice;
}

/** A part of the initrd, with its length. */
interface Part {
  readonly size: number;
  readonly fd?: Fd;
  readonly bytes?: Uint8Array;
  readonly name: string;
}

/** cpio archives that follow one another begin at multiples of four. */
const INITRD_ALIGNMENT = 4;

/** A loader of Linux; may load any number of machines, one after another. */
export function linuxLoader(source: LinuxSource): Loader {
  let image: KernelImage | undefined;
  let reading: Promise<void> | undefined;
  let plan: LinuxPlan | undefined;

  // Without a wait in between, the reads are on their way when this first returns.
  const read = async (ram: readonly RamRegion[], memory: GuestMemory) => {
    image = undefined;
    using opened = new OpenKernel(source.kernel);
    const kernel = isGzip(opened) ? await unzipKernel(opened, ram[0]?.size) : opened;
    image = parseKernel(kernel);
    await all(readKernel(memory, kernel, kernelRanges(image, ram, source.entry)));
  };

  return {
    begin(ram, memory) {
      reading = read(ram, memory);
      return reading;
    },

    async loadMemory(info, memory) {
      using stack = new DisposableStack();
      const parts = source.initrd.map((part) => openPart(part, stack));
      // Only a packed kernel is not known yet.
      if (image === undefined) await reading;
      if (image === undefined) throw new Error("A loader of Linux begins before it loads memory");
      plan = planFor(source, { image, parts, info });
      await all(readInitrd(memory, parts, plan.initrd));
      place(memory, plan.placements);
    },

    loadVcpu(_info, index): EntryState | undefined {
      return index === 0 ? plan?.entry : undefined;
    },
  };
}

/** All of them settle before this does, failed or not: none may write to guest memory afterwards. */
async function all(reads: readonly Promise<void>[]): Promise<void> {
  const settled = await Promise.allSettled(reads);
  const failed = settled.find((read) => read.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

function planFor(
  source: LinuxSource,
  { image, parts, info }: {
    readonly image: KernelImage;
    readonly parts: readonly Pick<Part, "size">[];
    readonly info: MachineInfo;
  },
): LinuxPlan {
  return planLinux(image, {
    ram: info.ram,
    reserved: info.windows.map(({ address, size }) => ({ address, size })),
    commandLine: commandLine(source.commandLine, info),
    initrdSize: parts.reduce((sum, { size }) => sum + aligned(size), 0),
    rsdpAddress: info.rsdpAddress,
    entry: source.entry ?? "auto",
  });
}

/** What of a machine a command line depends on. */
export interface CommandLineFacts {
  readonly cpus: number;
  readonly topology: Topology;
  readonly devices: readonly Pick<DeviceDescriptor, "kind" | "windows" | "gsi">[];
}

/**
 * The command line the guest gets. A kernel without ACPI is told of its virtio devices here; one with ACPI finds them in the DSDT,
 * and would probe each twice if it read both.
 *
 * @throws ConfigError where a kernel without ACPI would not find all vCPUs
 */
export function commandLine(given: string, facts: CommandLineFacts): string {
  if (!given.split(/\s+/).includes("acpi=off")) return given;
  const { cpus, topology, devices } = facts;
  if (!fitsMpTable(apicIds(topology).slice(0, cpus))) {
    const problem = `The MP table, which a kernel with acpi=off goes by, cannot hold ${cpus} vCPUs`;
    const advice = `at most ${MP_MAX_CPUS}, with APIC ids below that`;
    throw new ConfigError("cpu.count", `${problem}; give ${advice}, or leave acpi=off out`);
  }
  const virtio = devices.filter(({ kind }) => /^virtio-mmio\b/.test(kind));
  return appendParameters(
    given,
    virtioMmioParameters(virtio.map(({ windows, gsi }) => ({
      address: windows[0]?.base ?? 0,
      size: MMIO_WINDOW_SIZE,
      gsi,
    }))),
  );
}

function openPart(part: string | Uint8Array, stack: DisposableStack): Part {
  if (typeof part !== "string") return { size: part.length, bytes: part, name: "initrd" };
  const fd = stack.use(Fd.open(part, O_RDONLY));
  return { size: fileStatus(fd.number, `Cannot read initrd "${part}"`).size, fd, name: part };
}

function readKernel(
  memory: GuestMemory,
  kernel: OpenKernel | MemoryFile,
  ranges: readonly FileRange[],
): Promise<void>[] {
  if (kernel instanceof OpenKernel) {
    return ranges.map((range) => readFile(memory, kernel.fd, range, kernel.name));
  }
  for (const { offset, length, address } of ranges) {
    memory.write(address, kernel.read(offset, length));
  }
  return [];
}

function readInitrd(
  memory: GuestMemory,
  parts: readonly Part[],
  range: FileRange | undefined,
): Promise<void>[] {
  const reads: Promise<void>[] = [];
  let address = range?.address ?? 0;
  for (const { size, fd, bytes, name } of parts) {
    if (bytes !== undefined) memory.write(address, bytes);
    if (fd !== undefined) {
      reads.push(readFile(memory, fd, { offset: 0, length: size, address }, name));
    }
    address += aligned(size);
  }
  return reads;
}

async function readFile(
  memory: GuestMemory,
  fd: Fd,
  { offset, length, address }: FileRange,
  name: string,
): Promise<void> {
  const hostAddress = memory.hostAddress(address, length);
  const count = await bulkRead({ fd: fd.number, offset, length, hostAddress });
  if (count === length) return;
  throw new VireoError(
    "load_memory",
    `Cannot read "${name}": it ends after ${offset + count} bytes and ${
      offset + length
    } are needed`,
  );
}

function aligned(size: number): number {
  return Math.ceil(size / INITRD_ALIGNMENT) * INITRD_ALIGNMENT;
}
