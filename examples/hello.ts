// deno-lint-ignore-file no-console -- it prints, as programs do

/** A guest of sixteen bytes that prints a line: `deno run -A examples/hello.ts`. */

import { createMachine, realModeEntry } from "../src/mod.ts";

// mov si, 0x1100; mov dx, 0x3f8; next: lodsb; test al, al; jz end; out dx, al; jmp next; end: cli; hlt
const CODE = [0xbe, 0x00, 0x11, 0xba, 0xf8, 0x03, 0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb, 0xf8];
const HALT = [0xfa, 0xf4];

await using machine = await createMachine(
  { memory: { size: "1M" }, console: { backend: "none" } },
  {
    loader({ memory, vcpus }) {
      memory.write(0x1000, Uint8Array.from([...CODE, ...HALT]));
      memory.write(0x1100, new TextEncoder().encode("Hello from real mode\n"));
      vcpus[0]?.enter(realModeEntry(0, 0x1000));
    },
  },
);
const { reason } = await machine.run({ signal: AbortSignal.timeout(30_000) });
console.log(`${new TextDecoder().decode(machine.serialLog())}The guest has ${reason}`);
