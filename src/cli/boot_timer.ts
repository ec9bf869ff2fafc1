/**
 * `--boot-timer`: how long each part of a start took, from the process to the guest's end, as a table.
 *
 * @module
 */

import { type BootMark, MARK, now } from "../devices/boot_marks.ts";
import { say } from "./say.ts";

/** A row of the table. */
export interface Moment {
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

const NAMES: Readonly<Record<number, string>> = {
  [MARK.vmCreated]: "VM created",
  [MARK.loaded]: "kernel in memory",
  [MARK.firstRun]: "first KVM_RUN",
  [MARK.serial]: "first serial output",
  [MARK.init]: "init",
  [MARK.command]: "command or shell",
};

/** The moments of one process, guest after guest. */
export class BootTimer {
  #begun: readonly Moment[];
  readonly #tell: (text: string) => void;

  /**
   * Made when Vireo's own code begins to run.
   *
   * @param tell takes the table; tests put their own here
   */
  constructor(tell: (text: string) => void = say) {
    this.#tell = tell;
    const begun = processStart();
    this.#begun = [
      ...(begun === undefined ? [] : [{ name: "process, to 10 ms", at: begun }]),
      { name: "program loaded", at: now() },
    ];
  }

  /** Says the table of a guest that has just ended; the next guest's begins here. */
  report(marks: readonly BootMark[]): void {
    const end = { name: "guest's end", at: now() };
    this.#tell(tableOf([...this.#begun, ...marks.map(momentOf), end]));
    this.#begun = [{ name: "restart", at: end.at }];
  }
}

function momentOf({ code, at }: BootMark): Moment {
  return { name: NAMES[code] ?? `mark 0x${code.toString(16).padStart(2, "0")}`, at };
}

/** Milliseconds from the first row to each, and from each to the next. */
export function tableOf(moments: readonly Moment[]): string {
  const rows = [...moments].sort((a, b) => a.at - b.at);
  const lines = rows.map(({ name, at }, index) => {
    const since = (index === 0 ? 0 : at - (rows[index - 1]?.at ?? at)).toFixed(1);
    return `${(at - (rows[0]?.at ?? at)).toFixed(1).padStart(9)} ${since.padStart(9)}  ${name}`;
  });
  return ["Boot timer: ms since the start, ms since the row above", ...lines].join("\n");
}

const TICKS_A_SECOND = 100;
/** Field of /proc/PID/stat (proc(5)), counted from the state behind the name: when the process began, in ticks since boot. */
const STARTTIME = 19;

/** When this process began, in ms since the epoch, to 10 ms; undefined without /proc. */
function processStart(): number | undefined {
  try {
    const stat = Deno.readTextFileSync("/proc/self/stat");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const uptime = Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]);
    return now() - (uptime - Number(fields[STARTTIME]) / TICKS_A_SECOND) * 1000;
  } catch {
    return undefined;
  }
}
