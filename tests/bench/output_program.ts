/**
 * The program that output_bench.ts looks at: a machine whose guest sends so many bytes to the serial port, which is standard
 * output, and ends.
 *
 *   output_program BYTES
 *
 * @module
 */

import { buildMachine } from "../../src/machine/builder.ts";
import { Assembler, tinyLoader } from "../support/tiny_guest.ts";

const SERIAL = 0x3f8;
const DEBUG_EXIT = 0xf4;

/** `mov edx, SERIAL; again: out dx, al; dec ecx; jnz again`. */
const code = new Assembler().eax("x".charCodeAt(0)).ecx(Number(Deno.args[0]))
  .bytes(0xba, SERIAL % 256, SERIAL >> 8, 0, 0).label("again").bytes(0xee).loop("again");
await using machine = await buildMachine(
  { memory: 4 * 2 ** 20, rng: false, debugExit: true, serial: { input: -1, output: 1 } },
  { loader: tinyLoader(code.out(DEBUG_EXIT)) },
);
await machine.run();
