import { assertEquals } from "@std/assert";
import { KVM_EXIT_HLT, KVM_EXIT_IO, KvmCoalescedMmio } from "../../src/abi/kvm.ts";
import { CoalescedRing, type CoalescedSink } from "../../src/kvm/coalesced_ring.ts";
import { BareGuest } from "../support/bare_guest.ts";
import { libcRequirement } from "../support/libc.ts";
import { Assembler } from "../support/tiny_guest.ts";

const real = libcRequirement("kvm");
const RING = 8192;
const CAPACITY = 170;
const PORT = 0x3f8;
const OTHER_PORT = 0x60;

/** Notes every write as `port 0x3f8 1 65`. */
class Notes implements CoalescedSink {
  readonly lines: string[] = [];

  writePort(address: number, size: number, value: number): void {
    this.lines.push(`port 0x${address.toString(16)} ${size} ${value}`);
  }

  writeMemory(address: number, size: number, value: number): void {
    this.lines.push(`memory 0x${address.toString(16)} ${size} ${value}`);
  }

  writeMemoryWide(address: number, value: bigint): void {
    this.lines.push(`memory 0x${address.toString(16)} 8 ${value}`);
  }
}

/** A ring over bytes that a test fills as the kernel would. */
class WrittenRing {
  readonly pages: ArrayBuffer = new ArrayBuffer(3 * 4096);
  readonly ring: CoalescedRing = new CoalescedRing(this.pages, RING);
  readonly #view = new DataView(this.pages, RING);

  /** Puts both indices here. */
  at(index: number): this {
    this.#view.setUint32(0, index, true);
    this.#view.setUint32(4, index, true);
    return this;
  }

  add(address: bigint, length: number, port: number, data: bigint): this {
    const last = this.#view.getUint32(4, true);
    const entry = 8 + 24 * last;
    this.#view.setBigUint64(entry + KvmCoalescedMmio.phys_addr, address, true);
    this.#view.setUint32(entry + KvmCoalescedMmio.len, length, true);
    this.#view.setUint32(entry + KvmCoalescedMmio.pio, port, true);
    this.#view.setBigUint64(entry + KvmCoalescedMmio.data, data, true);
    this.#view.setUint32(4, (last + 1) % CAPACITY, true);
    return this;
  }

  drained(): string[] {
    const notes = new Notes();
    this.ring.drain(notes);
    return notes.lines;
  }
}

Deno.test("CoalescedRing.drain() does writes of each width, oldest first", () => {
  const written = new WrittenRing().add(0x3f8n, 1, 1, 0xffff_ff41n).add(0x60n, 2, 1, 0xffff_1234n)
    .add(0xd000_0014n, 4, 0, 0xffff_ffffn).add(0x1_0000_0000n, 8, 0, 0xffff_ffff_ffff_fffen);
  assertEquals(written.drained(), [
    "port 0x3f8 1 65",
    "port 0x60 2 4660",
    "memory 0xd0000014 4 -1",
    "memory 0x100000000 8 18446744073709551614",
  ]);
});

Deno.test("CoalescedRing.drain() goes on at the ring's start, and nothing waits afterwards", () => {
  const written = new WrittenRing().at(CAPACITY - 1).add(1n, 1, 1, 1n).add(2n, 1, 1, 2n);
  assertEquals(written.ring.pending, true);
  assertEquals(written.drained(), ["port 0x1 1 1", "port 0x2 1 2"]);
  assertEquals(written.ring.pending, false);
  assertEquals(written.drained(), []);
});

/** Indices that only a broken kernel could write must not lead out of the page, nor on for ever. */
Deno.test("CoalescedRing.drain() stays in its page whatever the indices are", () => {
  const written = new WrittenRing();
  new DataView(written.pages, RING).setUint32(0, 0xfffffff0, true);
  assertEquals(written.drained().length < CAPACITY, true);
});

/** Runs a guest with a coalesced port to HLT: what it wrote in order, and how often it left KVM_RUN before. */
function run(code: Assembler): { values: number[]; exits: number } {
  using guest = new BareGuest(code.halt());
  guest.vm.coalesce({ address: PORT, size: 1, port: true });
  const notes = new Notes();
  let exits = 0;
  for (let exit = guest.run(); exit.reason !== KVM_EXIT_HLT; exit = guest.run(), exits++) {
    guest.vcpu.coalesced?.drain(notes);
    assertEquals(exit.reason, KVM_EXIT_IO);
    notes.writePort(exit.port, exit.portSize, exit.portValue(0));
  }
  guest.vcpu.coalesced?.drain(notes);
  return { values: notes.lines.map((line) => Number(line.split(" ")[3])), exits };
}

Deno.test("Vm.coalesce(): writes wait in the ring, before those that leave KVM_RUN", real, () => {
  const code = new Assembler().eax(1).out(PORT).eax(2).out(PORT).eax(3).out(OTHER_PORT).eax(4);
  assertEquals(run(code.out(PORT)), { values: [1, 2, 3, 4], exits: 1 });
});

Deno.test("Vm.coalesce(): a full ring leaves KVM_RUN, and no write is lost", real, () => {
  const code = new Assembler();
  for (let i = 0; i < 200; i++) code.eax(i).out(PORT);
  const { values, exits } = run(code);
  assertEquals(values, Array.from({ length: 200 }, (_, i) => i));
  assertEquals(exits, 1);
});

Deno.test("Vm.coalesce(): a string instruction longer than the ring loses nothing", real, () => {
  const count = 600;
  // mov esi, 0x1000; mov ecx, count; mov edx, PORT; rep outsb
  const code = new Assembler().bytes(0xbe, 0, 0x10, 0, 0).ecx(count)
    .bytes(0xba, PORT % 256, PORT >> 8, 0, 0, 0xf3, 0x6e);
  const { values } = run(code);
  const bytes = code.assemble();
  assertEquals(values, Array.from({ length: count }, (_, i) => bytes[i] ?? 0));
});

Deno.test("Vm.uncoalesce(): every write leaves KVM_RUN again", real, () => {
  using guest = new BareGuest(new Assembler().eax(1).out(PORT).halt());
  const zone = { address: PORT, size: 1, port: true };
  guest.vm.coalesce(zone);
  guest.vm.uncoalesce(zone);
  assertEquals(guest.run().reason, KVM_EXIT_IO);
  assertEquals(guest.vcpu.coalesced?.pending, false);
});
