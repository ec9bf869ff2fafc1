import { assertEquals, assertGreater } from "@std/assert";
import { kickThread } from "../../src/host/thread.ts";
import { BareGuest } from "../support/bare_guest.ts";
import { libcRequirement } from "../support/libc.ts";
import { overload } from "../support/overload.ts";
import { comes, pause } from "../support/pause.ts";
import { Random } from "../support/random.ts";
import { Assembler } from "../support/tiny_guest.ts";

const real = libcRequirement("kvm");
const STOP = -1;
/** A kick that is not lost is answered in microseconds, or when the kernel lets the thread run again. */
const PATIENCE_MS = 5000;
const KICKS = 10_000;
const SEED = 38;

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
      const wait = PATIENCE_MS * overload();
      if (Atomics.wait(this.words, 1, seen, wait) === "timed-out") return false;
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
    await pause(20);
    this.guest[Symbol.dispose]();
  }
}

/** Spends about as much time as asked for without giving the processor away. */
function spend(iterations: number): number {
  let value = 1;
  for (let i = 0; i < iterations; i++) value = Math.imul(value, 31) + i;
  return value;
}

Deno.test(
  `${KICKS} kicks of a vCPU at random moments, in the guest, in its exits and in between: none is lost (row 3.8, seed ${SEED})`,
  real,
  async () => {
    // Half of its time the guest spins, half of it it exits.
    const code = new Assembler().label("again").out(0x80).ecx(100).label("spin").loop("spin")
      .jump("again");
    const random = new Random(SEED);
    await using kicked = new KickedGuest(code);
    await kicked.start();
    let answered = 0;
    while (answered < KICKS && kicked.kick(answered + 1)) {
      answered++;
      spend(random.below(20_000));
    }
    assertEquals(answered, KICKS);
    assertGreater(kicked.exits, 1000);
  },
);

Deno.test("a kick ends a guest that never exits by itself (row 3.8)", real, async () => {
  await using kicked = new KickedGuest(new Assembler().spin());
  await kicked.start();
  const answered = Array.from({ length: 1000 }, (_, index) => kicked.kick(index + 1));
  assertEquals(answered.filter((was) => !was), []);
  assertEquals(kicked.exits, 0);
});

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
    await comes(() => heard > 0);
    const before = kicked.exits;
    await comes(() => kicked.exits > before);
    // It has met no errno but a kick's.
    assertEquals(Atomics.load(kicked.words, 3), 0);
    assertEquals(kicked.kick(1), true);
    // One that is still on its way would end the process.
    await pause(500);
    Deno.removeSignalListener("SIGUSR1", listener);
  },
);
