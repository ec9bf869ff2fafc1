/**
 * A rig in which benches run monitors under the eyes of its kernel: the same tracepoints tell of every monitor when its guest was
 * entered first, what the guest wrote to the ports that are looked at, and how often it came out.
 *
 * @module
 */

import { MARKER_PORT } from "../../src/arch/x86_64/layout.ts";
import { Rig } from "../../src/rig/rig.ts";
import { fromFileUrl } from "../../src/std/path.ts";
import { progress } from "../support/progress.ts";

/** Something that the kernel saw. */
export interface TraceEvent {
  /** Seconds of the rig's clock. */
  readonly at: number;
  /** Name of the tracepoint, `kvm_entry`. */
  readonly name: string;
  /** The rest of the line. */
  readonly text: string;
}

/** How a round is run. */
export interface RoundOptions {
  /** Note every exit, which takes time; the moments alone where absent. */
  readonly exits?: boolean;
  /** Shell behind the command: `| cat`. */
  readonly behind?: string;
}

/** What a round gave. */
export interface Round {
  readonly events: readonly TraceEvent[];
  /** What was printed on either stream, at most its beginning. */
  readonly output: string;
}

/** Longest that a round may take, in s. */
const LIMIT = 120;
const OUTPUT_SIZE = 2000;
const SERIAL = 0x3f8;

/**
 * Runs a command with events noted from its start to its end. The event of guest entries turns itself off at the first exit, so that
 * there is one alone.
 */
const SCRIPT = `t=/sys/kernel/tracing
echo 0 > $t/tracing_on
echo mono > $t/trace_clock
echo 16384 > $t/buffer_size_kb
echo > $t/trace
echo 'port == ${MARKER_PORT} || port == ${SERIAL}' > $t/events/kvm/kvm_pio/filter
for event in $EVENTS; do
  echo 0 > $t/events/kvm/$event/filter
  echo 1 > $t/events/kvm/$event/enable
done
echo 1 > $t/events/kvm/kvm_pio/enable
echo 'disable_event:kvm:kvm_entry' > $t/events/kvm/kvm_exit/trigger
echo 1 > $t/events/kvm/kvm_entry/enable
echo 1 > $t/tracing_on
echo begins > $t/trace_marker
{ timeout ${LIMIT} "$@" BEHIND; } > /tmp/output 2>&1 < /dev/null
echo 0 > $t/tracing_on
echo 0 > $t/events/enable
echo '!disable_event:kvm:kvm_entry' > $t/events/kvm/kvm_exit/trigger
cat $t/trace
echo OUTPUT
head -c ${OUTPUT_SIZE} /tmp/output
`;
const EXIT_EVENTS = "kvm_exit kvm_userspace_exit";

/** One rig for all rounds of a bench. */
export class RigRounds implements AsyncDisposable {
  readonly #rig: Rig;

  private constructor(rig: Rig) {
    this.#rig = rig;
  }

  /**
   * Starts it.
   *
   * @param folder is seen in it under its own path; what changes in it afterwards is not
   */
  static async start(folder: string): Promise<RigRounds> {
    const project = fromFileUrl(new URL("../..", import.meta.url)).replace(/\/$/, "");
    const mounts = [{ path: folder, mode: "constant" }] as const;
    return new RigRounds(await Rig.start({ project, progress, mounts }));
  }

  /** Runs a command to its end. */
  async run(command: readonly string[], options: RoundOptions = {}): Promise<Round> {
    const script = SCRIPT.replace("BEHIND", options.behind ?? "");
    const chunks: string[] = [];
    const decoder = new TextDecoder();
    const take = (chunk: Uint8Array) => void chunks.push(decoder.decode(chunk, { stream: true }));
    await this.#rig.run(["sh", "-c", script, "sh", ...command], {
      cwd: "/tmp",
      env: { EVENTS: options.exits === true ? EXIT_EVENTS : "" },
      stdout: take,
      stderr: take,
      timeout: 2 * LIMIT * 1000,
    });
    const [trace = "", output = ""] = chunks.join("").split("\nOUTPUT\n");
    return { events: parseTrace(trace), output };
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#rig[Symbol.asyncDispose]();
  }
}

/** Lines of the kernel's trace file: `task-pid [cpu] flags seconds: name: text`. */
export function parseTrace(trace: string): TraceEvent[] {
  const lines = trace.matchAll(/^[^#\n]*\] \S+ +(\d+\.\d+): (\w+): (.*)$/gm);
  return Array.from(lines, ([, at, name = "", text = ""]) => ({ at: Number(at), name, text }));
}
