/**
 * 1 MiB through the virtio console (hvc0), written by a Linux guest in pieces of a page, from the first byte to the last that
 * arrives, beside QEMU's microvm and kvmtool: in the rig, where a Linux guest can run, and where JavaScript is slowed 4 to 15 times
 * and every monitor shares one processor with its guest and with who takes the bytes. Rounds of all alternate.
 *
 * @module
 */

import { compileC } from "../support/c_program.ts";
import { progress } from "../support/progress.ts";
import { requirement } from "../support/require.ts";
import { type Figure, median, printFigures } from "./figures.ts";
import { makeRigGuest } from "./rig_guest.ts";
import { type Monitor, rigMonitors, VIREO } from "./rig_monitors.ts";
import { RigRounds } from "./rig_rounds.ts";

/** What was measured of one monitor. */
export interface ConsoleFigure {
  readonly name: string;
  /** Round by round. */
  readonly seconds: readonly number[];
}

const PIECE = 4096;
const BYTES = 2 ** 20;
const ROUNDS = 5;
const CAVEAT = "In the rig JavaScript is slowed 4 to 15 times, and all processes share one CPU";
/** Zeros: the terminal's line discipline changes none of them. */
const TASK = `dd if=/dev/zero of=/dev/hvc0 bs=${PIECE} count=${BYTES / PIECE} 2> /dev/null`;

/** Measures every monitor that is here. */
export async function outputConsoleBench(): Promise<ConsoleFigure[]> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-bench-" });
  try {
    const sink = await compileC(new URL("./output_sink.c", import.meta.url), folder);
    const monitors = await rigMonitors(folder, await makeRigGuest(folder, TASK), "stdout");
    await using rig = await RigRounds.start(folder);
    // The first round fills caches: the rig's of files, Deno's of compiled code.
    for (const monitor of monitors) await measure(rig, monitor, sink);
    const figures = monitors.map(({ name }) => ({ name, seconds: [] as number[] }));
    for (let i = 0; i < ROUNDS; i++) {
      for (const [index, monitor] of monitors.entries()) {
        figures[index]?.seconds.push(await measure(rig, monitor, sink));
      }
    }
    return figures;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Seconds from the first byte to the last. */
async function measure(rig: RigRounds, { name, command }: Monitor, sink: string): Promise<number> {
  const { output } = await rig.run(command, { behind: `2> /dev/null | ${sink} 1 ${BYTES}` });
  const [seconds] = /^\d+\.\d{6}(?= $)/m.exec(output) ?? [];
  if (seconds === undefined) throw new Error(`${name} gave fewer than ${BYTES} bytes: ${output}`);
  progress(`${name}: ${seconds} s`);
  return Number(seconds);
}

if (import.meta.main && !requirement("qemu", "gcc").ignore) {
  const figures = await outputConsoleBench();
  progress(CAVEAT);
  printFigures([...figures.flatMap(rows), ...ratios(figures)]);
}

function rows({ name, seconds }: ConsoleFigure): Figure[] {
  const what = `1 MiB through the virtio console in the rig, ${name}`;
  return [
    { what, value: `${median(seconds).toFixed(2)} s` },
    { what: `${what}: at best`, value: `${Math.min(...seconds).toFixed(2)} s` },
  ];
}

/** Medians of one run. */
function ratios([ours, ...others]: readonly ConsoleFigure[]): Figure[] {
  if (ours === undefined) return [];
  return others.map(({ name, seconds }) => ({
    what: `1 MiB through the virtio console in the rig, ${VIREO}'s by ${name}'s`,
    value: (median(ours.seconds) / median(seconds)).toFixed(2),
    target: "≤ 1",
  }));
}
