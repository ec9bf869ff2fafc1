/**
 * The program that output_bench.ts looks at: a machine whose guest sends bytes to the serial port, which is standard output; or the
 * guest of output_console.S, which tells there when it begins and ends to send to the virtio console, which is the file.
 *
 *   output_program serial BYTES
 *   output_program console IMAGE FILE
 *
 * @module
 */

import { O_WRONLY } from "../../src/abi/linux.ts";
import type { MachineConfig } from "../../src/config/machine_config.ts";
import { Fd } from "../../src/host/fd.ts";
import { buildMachine } from "../../src/machine/builder.ts";
import type { Loader } from "../../src/machine/loader.ts";
import { Assembler, tinyLoader } from "../support/tiny_guest.ts";

const SERIAL = 0x3f8;
const DEBUG_EXIT = 0xf4;
const PAGE = 4096;

const [kind, what = "", path = ""] = Deno.args;
const common: Partial<MachineConfig> = {
  memory: 4 * 2 ** 20,
  rng: false,
  debugExit: true,
  serial: { input: -1, output: 1 },
};

/** `mov edx, SERIAL; again: out dx, al; dec ecx; jnz again`. */
function serialGuest(bytes: number): Loader {
  const code = new Assembler().eax("x".charCodeAt(0)).ecx(bytes)
    .bytes(0xba, SERIAL % 256, SERIAL >> 8, 0, 0).label("again").bytes(0xee).loop("again");
  return tinyLoader(code.out(DEBUG_EXIT));
}

/** The image begins with an instruction that holds the window's address, behind its first byte. */
function consoleGuest(image: Uint8Array): Loader {
  const code = image.slice(0, PAGE);
  const { loadMemory, loadVcpu } = tinyLoader(code);
  return {
    loadVcpu,
    loadMemory(info, memory) {
      const device = info.devices.find(({ options }) => options["device"] === "console");
      new DataView(code.buffer).setUint32(1, device?.windows[0]?.base ?? 0, true);
      return loadMemory(info, memory);
    },
  };
}

if (kind === "serial") {
  await using machine = await buildMachine(common, { loader: serialGuest(Number(what)) });
  await machine.run();
} else {
  using file = Fd.open(path, O_WRONLY);
  const console = { input: -1, output: file.number, escape: false, columns: 80, rows: 25 };
  const loader = consoleGuest(Deno.readFileSync(what));
  await using machine = await buildMachine({ ...common, console }, { loader });
  await machine.run();
}
