/** `vireo run` as a user runs it: a machine's file in a folder of its own, a process, and a Linux that runs one script. */

import { type CpioEntry, writeCpio } from "../../src/boot/cpio.ts";
import { bootFiles } from "../support/linux_guest.ts";
import { pause } from "../support/pause.ts";
import { type BootResult, RunningBoot } from "./boot_command.ts";

const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;

/** The command line that starts `vireo`, up to its options. */
export const VIREO: readonly [string, ...string[]] = [
  Deno.execPath(),
  "run",
  "-A",
  "--no-check",
  MAIN,
];

/** What a machine is like. */
export interface RunPlan {
  /** The file but for `[kernel]`, which is put behind. */
  readonly toml: string;
  /** What the guest's `sh` does before it powers off. */
  readonly script: string;
  /** Where the script's output goes in the guest; /dev/hvc0 where absent. */
  readonly output?: string;
  /** Options of `run`. */
  readonly options?: readonly string[];
  /** Files of the folder. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
}

/** A machine's folder with `vm.toml`, an initrd, and the files of its plan; gone with it. */
export class RunMachine implements Disposable {
  /** Absolute. */
  readonly folder: string;
  readonly #options: readonly string[];

  private constructor(folder: string, options: readonly string[]) {
    this.folder = folder;
    this.#options = options;
  }

  /** Makes the folder. */
  static async make(plan: RunPlan): Promise<RunMachine> {
    const folder = await Deno.makeTempDir({ prefix: "vireo-machine-" });
    const { kernel, initrd } = await bootFiles();
    const own = writeCpio([
      file("test-init", testInit(plan.output ?? "/dev/hvc0")),
      file("script", plan.script),
    ]);
    const base = await Deno.readFile(initrd);
    await Deno.writeFile(`${folder}/initrd.cpio`, base);
    await Deno.writeFile(`${folder}/initrd.cpio`, new Uint8Array(-base.length & 3), {
      append: true,
    });
    await Deno.writeFile(`${folder}/initrd.cpio`, own, { append: true });
    for (const [name, bytes] of Object.entries(plan.files ?? {})) {
      await Deno.writeFile(`${folder}/${name}`, bytes);
    }
    const cmdline = "console=ttyS0 panic=-1 reboot=acpi tsc=reliable quiet rdinit=/test-init";
    await Deno.writeTextFile(
      `${folder}/vm.toml`,
      `${plan.toml}\n[kernel]\npath = ${
        JSON.stringify(kernel)
      }\ninitrd = "initrd.cpio"\ncmdline = "${cmdline}"\n`,
    );
    return new RunMachine(folder, plan.options ?? []);
  }

  /** Starts `vireo run`, from another working directory. */
  start(stdin: "piped" | "null" = "null"): RunningBoot {
    return new RunningBoot(["run", `${this.folder}/vm.toml`, ...this.#options], {
      stdin,
      command: VIREO,
    });
  }

  /** Runs it to its end. */
  async run(): Promise<BootResult> {
    await using running = this.start();
    return await running.end();
  }

  /** A file of the folder as text; empty where it is not there yet. */
  text(name: string): string {
    try {
      return Deno.readTextFileSync(`${this.folder}/${name}`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    }
  }

  /** What `vireo check --json` says of it. */
  async check(): Promise<Record<string, unknown>> {
    const [program, ...args] = VIREO;
    const { stdout } = await new Deno.Command(program, {
      args: [...args, "check", `${this.folder}/vm.toml`, "--json", ...this.#options],
    }).output();
    return JSON.parse(new TextDecoder().decode(stdout));
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

/** Bytes as text, with the newlines of a terminal as the guest wrote them. */
export function lines(text: string | Uint8Array): string {
  const plain = typeof text === "string" ? text : new TextDecoder().decode(text);
  return plain.replaceAll("\r\n", "\n");
}

/** What a script said under `say HEADING`, by its heading. */
export function sections(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    lines(text).split("== ").slice(1).map((part) => {
      const [heading = "", ...rest] = part.trimEnd().split("\n");
      return [heading, rest.join("\n")];
    }),
  );
}

/** Waits until something is so. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const start = Date.now(); !isSo(); await pause(50)) {
    if (Date.now() > start + PATIENCE) throw new Error(`Not within ${PATIENCE} ms: ${what}`);
  }
}

/** Longest wait, in ms: the rig on a busy machine is slow. */
const PATIENCE = 100_000;

function file(path: string, text: string): CpioEntry {
  return { kind: "file", path, mode: 0o755, data: new TextEncoder().encode(text) };
}

function testInit(output: string): string {
  return `#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
say() { echo "== $1"; }
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -a
read -r modules < /etc/modules
modprobe -a $modules
case ${output} in /tmp/*) : > ${output} ;; esac
tries=0
while [ ! -e ${output} ] && [ $tries -lt 500 ]; do tries=$((tries + 1)); sleep 0.02; done
exec < ${output} > ${output} 2>&1
stty raw -echo 2> /dev/null
. /script
sync
poweroff -f
`;
}
