// deno-lint-ignore-file no-console -- it prints, as programs do

/** Machines side by side in one process, each with a letter of its own: `deno run -A examples/several.ts [HOW MANY]`. */

import { createMachine, realModeEntry } from "../src/mod.ts";

async function letterOf(index: number): Promise<string> {
  const letter = "A".charCodeAt(0) + index;
  await using machine = await createMachine(
    { name: `guest${index}`, memory: { size: "1M" }, console: { backend: "none" } },
    {
      loader({ memory, vcpus }) {
        // mov dx, 0x3f8; mov al, letter; out dx, al; cli; hlt
        memory.write(0x1000, Uint8Array.of(0xba, 0xf8, 0x03, 0xb0, letter, 0xee, 0xfa, 0xf4));
        vcpus[0]?.enter(realModeEntry(0, 0x1000));
      },
    },
  );
  await machine.run({ signal: AbortSignal.timeout(30_000) });
  return new TextDecoder().decode(machine.serialLog());
}

const count = Number(Deno.args[0] ?? 3);
const letters = await Promise.all(Array.from({ length: count }, (_, index) => letterOf(index)));
console.log(letters.join(" "));
