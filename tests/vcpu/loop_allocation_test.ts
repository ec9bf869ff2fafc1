import { assertLess } from "@std/assert";
import { libcRequirement } from "../support/libc.ts";
import { EXIT_GUESTS, EXITS_A_TURN, LoopBench } from "../support/loop_bench.ts";

const TURNS = 5000;

Deno.test("runVcpu() allocates nothing per exit", libcRequirement("kvm"), () => {
  for (const guest of Object.values(EXIT_GUESTS)) {
    using loop = new LoopBench(guest(TURNS, 0xffffffff));
    // The compiler needs some turns.
    for (let i = 0; i < 6; i++) loop.round();
    // Asking for the heap's size costs some hundred bytes itself; a boxed number would be 16 bytes a turn.
    assertLess(loop.allocated() / (EXITS_A_TURN * TURNS), 2);
  }
});
