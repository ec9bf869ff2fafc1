// deno-lint-ignore-file no-console -- it prints, as programs do

/** A device with registers and a guest that uses it: `deno run -A examples/device.ts`. */

import { busDevice, createMachine, realModeEntry } from "../src/mod.ts";

// mov dx, 0x510; mov al, 7; out dx, al; in al, dx; mov dx, 0x3f8; out dx, al; cli; hlt
const CODE = [0xba, 0x10, 0x05, 0xb0, 7, 0xee, 0xec, 0xba, 0xf8, 0x03, 0xee, 0xfa, 0xf4];

const square = busDevice({
  id: "square0",
  module: new URL("./square_device.ts", import.meta.url),
  windows: [{ bus: "port", base: 0x510, size: 1 }],
  stateSize: 4,
});
await using machine = await createMachine(
  { memory: { size: "1M" }, console: { backend: "none" } },
  {
    devices: [square],
    loader({ memory, vcpus }) {
      memory.write(0x1000, Uint8Array.from(CODE));
      vcpus[0]?.enter(realModeEntry(0, 0x1000));
    },
  },
);
const { reason } = await machine.run({ signal: AbortSignal.timeout(30_000) });
console.log(`The guest got ${machine.serialLog()[0]}, and has ${reason}`);
