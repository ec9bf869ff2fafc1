// deno-lint-ignore-file no-console -- it prints, as programs do

/**
 * A device in TypeScript: the guest writes a number to a port and finds its square in memory: `deno run -A examples/device.ts`.
 *
 * The port gives the turn to this program, which answers and lets the guest go on. That stops all vCPUs at each access, which does
 * for a device that is asked now and then.
 */

import { createMachine, debugYield, realModeEntry } from "../src/mod.ts";

const PORT = 0x510;
const RESULT = 0x3000;
// mov dx, PORT; mov al, 7; out dx, al; mov al, [RESULT]; mov dx, 0x3f8; out dx, al; cli; hlt
const CODE = [0xba, 0x10, 0x05, 0xb0, 7, 0xee, 0xa0, 0, 0x30, 0xba, 0xf8, 0x03, 0xee, 0xfa, 0xf4];

await using machine = await createMachine(
  { memory: { size: "1M" }, console: { backend: "none" } },
  {
    devices: [debugYield({ id: "square0", port: PORT })],
    loader({ memory, vcpus }) {
      memory.write(0x1000, Uint8Array.from(CODE));
      vcpus[0]?.enter(realModeEntry(0, 0x1000));
    },
  },
);
let outcome = await machine.run();
for (; outcome.reason === "yield"; outcome = await machine.run()) {
  machine.memory.writeU8(RESULT, outcome.detail * outcome.detail);
}
console.log(`The guest got ${machine.serialLog()[0]}, and has ${outcome.reason}`);
