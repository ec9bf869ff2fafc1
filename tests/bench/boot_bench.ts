/**
 * From the first KVM_RUN to init, beside QEMU's microvm and kvmtool, with the same kernel and initramfs: in the rig, where a Linux
 * guest can run, and where JavaScript is slowed 4 to 15 times and every monitor shares one processor with its guest. Every monitor is
 * measured by the same tracepoints of the rig's kernel, and rounds of all alternate.
 *
 * @module
 */

import { MARKER_PORT } from "../../src/arch/x86_64/layout.ts";
import { progress } from "../support/progress.ts";
import { requirement } from "../support/require.ts";
import { type Figure, median, printFigures } from "./figures.ts";
import { GUEST_MARK, makeRigGuest } from "./rig_guest.ts";
import { type Monitor, rigMonitors, VIREO } from "./rig_monitors.ts";
import { RigRounds, type Round, type TraceEvent } from "./rig_rounds.ts";

/** What was measured of one monitor. */
export interface BootFigure {
  readonly name: string;
  /** Seconds from the first KVM_RUN to init, round by round. */
  readonly seconds: readonly number[];
  /** Median seconds of each phase. */
  readonly phases: Readonly<Record<string, number>>;
  /** How often the guest came out before init, and how often the monitor was woken for it. */
  readonly exits: { readonly all: number; readonly user: number };
}

/** When the guest got how far, in seconds of the rig's clock. */
interface Moments {
  readonly begins: number;
  readonly firstRun: number;
  readonly serial: number;
  readonly init: number;
  readonly drivers: number;
}

const ROUNDS = 5;
const CAVEAT = "In the rig JavaScript is slowed 4 to 15 times, and all processes share one CPU";

/** Measures every monitor that is here. */
export async function bootBench(): Promise<BootFigure[]> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-bench-" });
  try {
    const monitors = await rigMonitors(folder, await makeRigGuest(folder), "none");
    await using rig = await RigRounds.start(folder);
    // The first round fills caches: the rig's of files, Deno's of compiled code.
    await eachOnce(monitors, (monitor) => rig.run(monitor.command));
    const rounds: Map<string, Moments>[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      rounds.push(await eachOnce(monitors, (monitor) => boot(rig, monitor)));
    }
    const exits = await eachOnce(
      monitors,
      async ({ name, command }) => countExits(name, await rig.run(command, { exits: true })),
    );
    return monitors.map(({ name }) =>
      figure(name, rounds.flatMap((round) => round.get(name) ?? []), exits.get(name))
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function eachOnce<T>(
  monitors: readonly Monitor[],
  run: (monitor: Monitor) => Promise<T>,
): Promise<Map<string, T>> {
  const results = new Map<string, T>();
  for (const monitor of monitors) results.set(monitor.name, await run(monitor));
  return results;
}

async function boot(rig: RigRounds, { name, command }: Monitor): Promise<Moments> {
  const moments = momentsOf(name, await rig.run(command));
  progress(`${name}: ${(moments.init - moments.firstRun).toFixed(2)} s to init`);
  return moments;
}

function momentsOf(name: string, { events, output }: Round): Moments {
  const at = (what: string, is: (event: TraceEvent) => boolean) => {
    const event = events.find(is);
    if (event === undefined) throw new Error(`${name} did not get to its ${what}: ${output}`);
    return event.at;
  };
  const isWrite = ({ text }: TraceEvent, port: number) =>
    text.startsWith(`pio_write at 0x${port.toString(16)} `);
  return {
    begins: at("start", ({ text }) => text === "begins"),
    firstRun: at("first KVM_RUN", ({ name }) => name === "kvm_entry"),
    serial: at("serial port", (event) => event.name === "kvm_pio" && !isWrite(event, MARKER_PORT)),
    init: at("init", (event) => isMark(event, GUEST_MARK.init)),
    drivers: at("drivers", (event) => isMark(event, GUEST_MARK.drivers)),
  };
}

function isMark({ text }: TraceEvent, mark: string): boolean {
  const value = `val 0x${mark.charCodeAt(0).toString(16)} `;
  return text.startsWith(`pio_write at 0x${MARKER_PORT.toString(16)} `) && text.includes(value);
}

function countExits(name: string, round: Round): BootFigure["exits"] {
  const { init } = momentsOf(name, round);
  const before = round.events.filter(({ at }) => at < init);
  const count = (wanted: string) => before.filter(({ name }) => name === wanted).length;
  return { all: count("kvm_exit"), user: count("kvm_userspace_exit") };
}

function figure(
  name: string,
  rounds: readonly Moments[],
  exits: BootFigure["exits"] = { all: NaN, user: NaN },
): BootFigure {
  const phase = (from: keyof Moments, to: keyof Moments) =>
    median(rounds.map((moments) => moments[to] - moments[from]));
  return {
    name,
    seconds: rounds.map(({ firstRun, init }) => init - firstRun),
    phases: {
      "process to first KVM_RUN": phase("begins", "firstRun"),
      "first KVM_RUN to the kernel's serial port": phase("firstRun", "serial"),
      "serial port to init": phase("serial", "init"),
      "init to all drivers loaded": phase("init", "drivers"),
    },
    exits,
  };
}

if (import.meta.main && !requirement("qemu").ignore) {
  const figures = await bootBench();
  progress(CAVEAT);
  printFigures([...figures.flatMap(rows), ...ratios(figures)]);
}

function rows({ name, seconds, phases, exits }: BootFigure): Figure[] {
  const what = `boot in the rig, ${name}`;
  const row = (what: string, seconds: number) => ({ what, value: `${seconds.toFixed(2)} s` });
  return [
    row(`${what}: first KVM_RUN to init`, median(seconds)),
    row(`${what}: the same at best`, Math.min(...seconds)),
    ...Object.entries(phases).map(([phase, seconds]) => row(`${what}: ${phase}`, seconds)),
    { what: `${what}: exits before init`, value: `${exits.all}, ${exits.user} to user space` },
  ];
}

/** Medians of one run. */
function ratios(figures: readonly BootFigure[]): Figure[] {
  const [ours, ...others] = figures;
  if (ours === undefined) return [];
  return others.map(({ name, seconds }) => {
    const ratio = median(ours.seconds) / median(seconds);
    const what = `boot in the rig, first KVM_RUN to init, ${VIREO}'s by ${name}'s`;
    return { what, value: ratio.toFixed(2), target: "< 1" };
  });
}
