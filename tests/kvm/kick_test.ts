import { assertEquals, assertGreater } from "@std/assert";
import { kickThread } from "../../src/host/thread.ts";
import { BareGuest } from "../support/bare_guest.ts";
import { libcRequirement } from "../support/libc.ts";
import { Random } from "../support/random.ts";
import { Assembler } from "../support/tiny_guest.ts";

const real = libcRequirement("kvm");
const STOP = -1;
const PATIENCE_MS = 5000;

/** A guest that runs in a worker, and the kicks that it gets. */
class KickedGuest implements AsyncDisposable {
  readonly guest: BareGuest;
  readonly words = new Int32Array(new SharedArrayBuffer(16));
  readonly #worker = new Worker(new URL("../guests/kick_worker.ts", import.meta.url), {
    type: "module",
  });
  #thread = 0;

  constructor(code: Assembler) {
    this.guest = new BareGuest(code);
  }

  /** Starts the worker, and returns when it is about to enter the guest. */
  async start(): Promise<void> {
    const started = new Promise<number>((resolve) => {
      this.#worker.onmessage = (event) => resolve(event.data);
    });
    this.#worker.postMessage({ vcpu: this.guest.vcpu.describe(), words: this.words.buffer });
    this.#thread = await started;
  }

  /** Asks for something, kicks, and waits for the answer; false when none comes. */
  kick(request: number): boolean {
    Atomics.store(this.words, 0, request);
    this.guest.vcpu.exit.immediateExit = true;
    kickThread(this.#thread);
    for (;;) {
      const seen = Atomics.load(this.words, 1);
      if (seen === request) return true;
      if (Atomics.wait(this.words, 1, seen, PATIENCE_MS) === "timed-out") return false;
    }
  }

  /** Exits of the guest so far. */
  get exits(): number {
    return Atomics.load(this.words, 2);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kick(STOP);
    this.#worker.terminate();
    // The thread is out of KVM_RUN; it ends by itself before its vCPU goes.
    await new Promise((resolve) => setTimeout(resolve, 20));
    this.guest[Symbol.dispose]();
  }
}

/** Spends about as much time as asked for without giving the processor away. */
function spend(iterations: number): number {
  let value = 1;
  for (let i = 0; i < iterations; i++) value = Math.imul(value, 31) + i;
  return value;
}

/** Kicks at random moments; gives how many were never answered. */
async function lostKicks(code: Assembler, count: number): Promise<{ lost: number; exits: number }> {
  const random = new Random(38);
  await using kicked = new KickedGuest(code);
  await kicked.start();
  let lost = 0;
  for (let i = 1; i <= count && lost === 0; i++) {
    spend(random.below(20_000));
    if (!kicked.kick(i)) lost++;
  }
  return { lost, exits: kicked.exits };
}

Deno.test("5000 kicks of a spinning vCPU: none is lost (row 3.8)", real, async () => {
  const { lost } = await lostKicks(new Assembler().spin(), 5000);
  assertEquals(lost, 0);
});

Deno.test(
  "5000 kicks of a vCPU that exits all the time: none is lost (row 3.8)",
  real,
  async () => {
    const code = new Assembler().label("again").out(0x80).jump("again");
    const { lost, exits } = await lostKicks(code, 5000);
    assertEquals(lost, 0);
    assertGreater(exits, 1000);
  },
);

Deno.test(
  "a storm of a signal the process listens to leaves the guest alone (row 3.12)",
  real,
  async () => {
    await using kicked = new KickedGuest(new Assembler().label("again").out(0x80).jump("again"));
    let heard = 0;
    const listener = () => heard++;
    Deno.addSignalListener("SIGUSR1", listener);
    await kicked.start();
    const script = `i=0; while [ $i -lt 500 ]; do kill -USR1 ${Deno.pid}; i=$((i + 1)); done`;
    await new Deno.Command("sh", { args: ["-c", script] }).output();
    const before = kicked.exits;
    await new Promise((resolve) => setTimeout(resolve, 50));
    Deno.removeSignalListener("SIGUSR1", listener);
    assertGreater(heard, 0);
    assertGreater(kicked.exits, before);
    assertEquals(Atomics.load(kicked.words, 3), 0);
    assertEquals(kicked.kick(1), true);
  },
);
