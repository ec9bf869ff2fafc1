/** The start of secondary vCPUs: INIT and SIPI before or after their workers are there. */

import { assertEquals } from "@std/assert";
import { openAllGroups } from "../../src/host/libc.ts";
import type { Loader } from "../../src/machine/loader.ts";
import { requirement } from "../support/require.ts";
import { Assembler, tinyLoader } from "../support/tiny_guest.ts";
import { tinyMachine } from "../support/tiny_machine.ts";

openAllGroups();

const SERIAL = 0x3f8;
const DEBUG_EXIT = 0xf4;
/** Where the second vCPU says that it runs. */
const FLAG = 0x5000;
const ICR_HIGH = 0xfee0_0310;
const ICR_LOW = 0xfee0_0300;
const SECOND = 1 * 2 ** 24;
const INIT = 0x4500;
const SIPI = 0x4600;
/** Real-mode code begins at this page. */
const VECTOR = 0x10;

/** Starts the second vCPU twice, as Linux does, says so, and waits for it. */
function starter(): Assembler {
  return new Assembler()
    .eax(SECOND).store(ICR_HIGH).eax(INIT).store(ICR_LOW)
    .eax(SECOND).store(ICR_HIGH).eax(SIPI + VECTOR).store(ICR_LOW)
    .eax(SECOND).store(ICR_HIGH).eax(SIPI + VECTOR).store(ICR_LOW)
    .eax("S".charCodeAt(0)).out(SERIAL)
    .label("wait").load(FLAG, 1).compareAl(VECTOR).jumpNotEqual("wait")
    .eax(0).out(DEBUG_EXIT, 4);
}

/** 16-bit code: says in {@linkcode FLAG} which page it runs in, after a letter. */
const SECONDARY = Uint8Array.of(
  ...[0xb0, "A".charCodeAt(0), 0xba, 0xf8, 0x03, 0xee], // mov al, 'A'; mov dx, 0x3f8; out dx, al
  ...[0x31, 0xc0, 0x8e, 0xd8], // xor ax, ax; mov ds, ax
  ...[0x8c, 0xc8, 0xc1, 0xe8, 0x08], // mov ax, cs; shr ax, 8
  ...[0xa2, FLAG % 256, FLAG / 256], // mov [FLAG], al
  ...[0xf4, 0xeb, 0xfd], // hlt; jmp to it
);

function loader(): Loader {
  const first = tinyLoader(starter());
  return {
    ...first,
    loadMemory(info, memory) {
      memory.write(VECTOR * 4096, SECONDARY);
      return first.loadMemory(info, memory);
    },
  };
}

/** Lets the second vCPU's worker hear of its vCPU only after a while. */
function withLateWorker(milliseconds: number): Disposable {
  const { Worker } = globalThis;
  globalThis.Worker = class extends Worker {
    override postMessage(message: { readonly vcpu?: { readonly id: number } }): void {
      const late = message.vcpu?.id === 1 ? milliseconds : 0;
      setTimeout(() => super.postMessage(message), late);
    }
  };
  return { [Symbol.dispose]: () => void (globalThis.Worker = Worker) };
}

for (
  const { what, startBarrier, late } of [
    { what: "long before its worker is there", startBarrier: false, late: 500 },
    { what: "about when its worker comes", startBarrier: false, late: 0 },
    { what: "when it waits in KVM_RUN", startBarrier: true, late: 0 },
  ]
) {
  Deno.test(
    `A secondary vCPU that gets INIT and SIPI ${what} runs from the SIPI's page`,
    requirement("kvm"),
    async () => {
      using _workers = withLateWorker(late);
      await using machine = await tinyMachine(loader(), { cpus: 2, startBarrier });
      const outcome = await machine.run({ signal: AbortSignal.timeout(30_000) });
      assertEquals(outcome.reason, "debug-exit", outcome.text);
      const said = new TextDecoder().decode(machine.serialLog());
      assertEquals([...said].toSorted(), ["A", "S"]);
    },
  );
}
