/**
 * The vCPU's loop beside the same loop in C: what TypeScript adds to an exit. Rounds of both alternate, and the figure is the
 * median, since neighbours come and go. Addresses and values are high ones, so that boxing would show.
 *
 * @module
 */

import { compileC } from "../support/c_program.ts";
import { EXIT_GUESTS, type ExitGuest, EXITS_A_TURN, LoopBench } from "../support/loop_bench.ts";
import { requirement } from "../support/require.ts";
import type { Assembler } from "../support/tiny_guest.ts";
import { type Figure, median, printFigures } from "./figures.ts";

/** What was measured of one kind of exit. */
export interface ExitFigure {
  readonly name: string;
  /** Nanoseconds per exit, medians. */
  readonly typescript: number;
  readonly c: number;
  /** C's time by ours: 1 is as fast as C. */
  readonly ratio: number;
  /** Nanoseconds that TypeScript adds to an exit. */
  readonly added: number;
  /** Bytes of heap that an exit allocates. */
  readonly allocated: number;
}

/** Short rounds and many of them: a neighbour's burst then hits both loops alike. */
const ROUNDS = 101;
const WARM_UP = 20;
const TURNS = 500;

/** Measures every kind of exit. */
export async function exitBench(): Promise<ExitFigure[]> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-bench-" });
  try {
    const program = await compileC(new URL("./exit_loop.c", import.meta.url), folder);
    const figures: ExitFigure[] = [];
    for (const [name, guest] of Object.entries(EXIT_GUESTS)) {
      figures.push(await compare(program, name, guest));
    }
    return figures;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function compare(program: string, name: string, guest: ExitGuest): Promise<ExitFigure> {
  const code = guest(TURNS);
  using ourLoop = new LoopBench(code);
  await using theirLoop = new CLoop(program, code);
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let i = -WARM_UP; i < ROUNDS; i++) {
    const our = ourLoop.round() / (EXITS_A_TURN * TURNS);
    const their = await theirLoop.round();
    if (i < 0) continue;
    ours.push(our);
    theirs.push(their);
  }
  const typescript = median(ours);
  const c = median(theirs);
  const allocated = allocatedBy(guest);
  return { name, typescript, c, ratio: c / typescript, added: typescript - c, allocated };
}

/** By how much more a longer run allocates: what a run takes however short it is does not count. */
function allocatedBy(guest: ExitGuest): number {
  const [short, long] = [10 * TURNS, 50 * TURNS];
  const more = allocatedIn(guest(long)) - allocatedIn(guest(short));
  return Math.max(0, more) / (EXITS_A_TURN * (long - short));
}

function allocatedIn(code: Assembler): number {
  using loop = new LoopBench(code);
  for (let i = 0; i < 3; i++) loop.round();
  return loop.allocated();
}

/** The C program, which makes a round for each line that it gets. */
class CLoop implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<string>;

  constructor(program: string, code: Assembler) {
    const hex = Array.from(code.assemble(), (byte) => byte.toString(16).padStart(2, "0")).join("");
    const command = new Deno.Command(program, { args: [hex], stdin: "piped", stdout: "piped" });
    this.#process = command.spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#output = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Nanoseconds per exit of one run to HLT. */
  async round(): Promise<number> {
    await this.#input.write(new TextEncoder().encode("\n"));
    const { value = "" } = await this.#output.read();
    const [exits, ns] = value.trim().split(" ").map(Number);
    // One more is the last, at the port that ends our loop.
    if (exits !== EXITS_A_TURN * TURNS + 1 || ns === undefined) {
      throw new Error(`The C loop said "${value}"`);
    }
    return ns / exits;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#output.cancel();
    await this.#process.status;
  }
}

if (import.meta.main && !requirement("kvm", "gcc").ignore) {
  printFigures((await exitBench()).flatMap(rows));
}

function rows({ name, typescript, c, ratio, added, allocated }: ExitFigure): Figure[] {
  const what = `exit, ${name}`;
  return [
    { what, value: `${typescript.toFixed(0)} ns, C ${c.toFixed(0)} ns` },
    {
      what: `${what}: C's time by ours`,
      value: ratio.toFixed(3),
      target: "≥ 0.97, paravirtual KVM",
    },
    { what: `${what}: added`, value: `${added.toFixed(0)} ns`, target: "≤ 300 ns" },
    { what: `${what}: allocated`, value: `${allocated.toFixed(1)} bytes`, target: "nothing" },
  ];
}
