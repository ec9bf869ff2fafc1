/**
 * The rig: a full KVM where there is none. QEMU emulates a machine with SVM and boots a stock kernel ("L1") in which
 * /dev/kvm is complete; commands run in there as if they ran here.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import { dirname, fromFileUrl } from "../std/path.ts";
import { type PrepareOptions, prepareRig, type RigBase } from "./base.ts";
import type { Duplex, ExitReport } from "./frame.ts";
import type { RunOptions } from "./host_run.ts";
import { initScript, type Mount } from "./init.ts";
import { Monitor } from "./monitor.ts";
import { Qemu } from "./qemu.ts";
import { Runner, type RunningCommand } from "./runner.ts";

/** What a rig is made of. */
export interface RigOptions extends PrepareOptions {
  /** Memory of L1 as QEMU takes it; `3G` if absent. The host gives it as L1 touches it. */
  readonly memory?: string;
  /** Absolute path of the project's folder: L1 reads and writes it under the same path. */
  readonly project: string;
  /** More folders of the host, under their own paths; the project's own path may be among them, with another mode. */
  readonly mounts?: readonly Mount[];
  /** The program in L1 that calls `runAgent()`; by default this Deno with ./agent.ts. */
  readonly agent?: readonly string[];
}

/** Milliseconds from the start of QEMU to the agent's first word. */
const START_LIMIT = 120_000;
/** Milliseconds between the signs of life asked of the agent. */
const PING_INTERVAL = 5_000;
/** Unanswered pings after which L1 counts as hung: a minute, of which a suspended host's sleep is no part. */
const PINGS_MISSED = 12;

/** One L1 that is up. Any number may be up at a time. */
export class Rig implements AsyncDisposable {
  readonly #base: RigBase;
  readonly #folder: string;
  readonly #qemu: Qemu;
  readonly #listener: Deno.UnixListener;
  readonly #removeFolder: () => void;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #connection: Deno.UnixConn | undefined;
  #runner: Runner | undefined;
  #monitor: Monitor | undefined;
  #end = "The rig ended";

  /** Starts QEMU on what {@link prepareRig} gave. */
  private constructor(base: RigBase, options: RigOptions) {
    using stack = new DisposableStack();
    this.#base = stack.use(base);
    const folder = this.#folder = Deno.makeTempDirSync({ prefix: "vireo-rig-" });
    this.#removeFolder = () => removeFolder(folder);
    stack.defer(this.#removeFolder);
    // Whoever leaves by Deno.exit while the rig starts leaves nothing behind either.
    addEventListener("unload", this.#removeFolder);
    const mounts = mountsOf(options);
    Deno.mkdirSync(`${this.#folder}/shared`);
    Deno.writeTextFileSync(`${this.#folder}/shared/init`, scriptOf(options, mounts));
    const socket = `${this.#folder}/agent.sock`;
    const listener = this.#listener = Deno.listen({ transport: "unix", path: socket });
    stack.defer(() => close(listener));
    this.#qemu = new Qemu({
      base,
      memory: options.memory ?? "3G",
      shared: `${this.#folder}/shared`,
      mounts,
      socket,
      monitor: `${this.#folder}/monitor.sock`,
      console: `${this.#folder}/console.log`,
    });
    stack.move();
  }

  /**
   * Builds what the cache lacks, starts L1 and waits for its agent: 3 s where the cache is warm, 120 s at most. Rejects with the
   * reason of `options.signal` when that fires, and then leaves neither a process nor a file outside of the cache.
   */
  static async start(options: RigOptions): Promise<Rig> {
    const rig = new Rig(await prepareRig(options), options);
    const abort = () => void rig.#qemu[Symbol.asyncDispose]();
    options.signal?.addEventListener("abort", abort);
    try {
      options.signal?.throwIfAborted();
      await rig.#connect();
      options.signal?.throwIfAborted();
      return rig;
    } catch (error) {
      await rig[Symbol.asyncDispose]();
      options.signal?.throwIfAborted();
      throw error;
    } finally {
      options.signal?.removeEventListener("abort", abort);
    }
  }

  /** Process id of QEMU. */
  get pid(): number {
    return this.#qemu.pid;
  }

  /** Settles with the reason once L1 has ended. */
  get closed(): Promise<unknown> {
    return this.#running().closed;
  }

  /** L1's console so far: its kernel's messages and its init's. */
  console(): string {
    return this.#qemu.console();
  }

  /** Starts a command. */
  start(command: readonly string[], options: RunOptions): RunningCommand {
    return this.#running().start(command, options);
  }

  /** Runs a command to its end. Rejects, with L1's console in the message, when L1 ends first. */
  async run(command: readonly string[], options: RunOptions): Promise<ExitReport> {
    return await this.#running().run(command, options);
  }

  /** Lets another process run commands in this rig, as long as `client` is open: its end is a {@link Runner}. */
  async relay(client: Duplex): Promise<void> {
    await this.#running().relay(client);
  }

  /** Ends L1 and removes what this rig left outside of the cache. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#heartbeat);
    await this.#qemu[Symbol.asyncDispose]();
    await this.#runner?.closed;
    this.#monitor?.[Symbol.dispose]();
    close(this.#connection);
    close(this.#listener);
    this.#letGoOfFolder();
    this.#base[Symbol.dispose]();
  }

  #letGoOfFolder(): void {
    removeEventListener("unload", this.#removeFolder);
    this.#removeFolder();
  }

  #running(): Runner {
    if (!this.#runner) throw new VireoError("closed", "The rig is not up");
    return this.#runner;
  }

  async #connect(): Promise<void> {
    const limit = setTimeout(() => {
      this.#end = `The rig did not come up in ${START_LIMIT / 1000} s`;
      void this.#qemu[Symbol.asyncDispose]();
    }, START_LIMIT);
    try {
      const ended = this.#qemu.ended.then(() => undefined);
      const connection = this.#connection = await Promise.race([this.#listener.accept(), ended]);
      if (!connection) throw await this.#qemu.report("The rig's QEMU ended at its start");
      const runner = this.#runner = new Runner(
        connection,
        (cause) => this.#qemu.report(this.#end, cause),
      );
      const path = `${this.#folder}/monitor.sock`;
      this.#monitor = new Monitor(await Deno.connect({ transport: "unix", path }));
      await runner.ready;
      // L1 has read what it needs of it: nothing of ours is left behind, whatever we die of.
      this.#letGoOfFolder();
      await Promise.race([runner.heartbeat.synchronize(), runner.closed]);
      this.#heartbeat = setInterval(() => this.#beat(runner), PING_INTERVAL);
      Deno.unrefTimer(this.#heartbeat);
    } finally {
      clearTimeout(limit);
    }
  }

  #beat(runner: Runner): void {
    if (runner.heartbeat.unanswered < PINGS_MISSED) return void runner.heartbeat.beat();
    clearInterval(this.#heartbeat);
    void this.#hung();
  }

  async #hung(): Promise<void> {
    const registers = await this.#monitor?.registers();
    this.#end = `The rig hangs: no sign of life in ${PINGS_MISSED * PING_INTERVAL / 1000} s\n` +
      `Its processors:\n${registers}`;
    await this.#qemu[Symbol.asyncDispose]();
  }
}

/** All folders that L1 sees, parents before what lies in them. */
function mountsOf(options: RigOptions): Mount[] {
  const deno = Deno.execPath();
  const mounts = new Map<string, Mount>();
  const add = (mount: Mount) => mounts.set(mount.path, mount);
  add({ path: dirname(deno), mode: "constant" });
  const cache = denoCache();
  if (isFolder(cache)) add({ path: cache, mode: "scratch" });
  // The agent lies in Vireo's own tree, which is not the project of one who uses Vireo as a library.
  const own = fromFileUrl(new URL("..", import.meta.url));
  if (!options.agent && !own.startsWith(`${options.project}/`)) add({ path: own, mode: "shared" });
  add({ path: options.project, mode: "shared" });
  for (const mount of options.mounts ?? []) add(mount);
  return [...mounts.values()].sort((a, b) => a.path < b.path ? -1 : 1);
}

function scriptOf(options: RigOptions, mounts: readonly Mount[]): string {
  const agent = fromFileUrl(new URL("./agent.ts", import.meta.url));
  const flags = ["--no-check", "--no-lock", "--no-config", "--cached-only", "--allow-all"];
  return initScript({
    mounts,
    agent: options.agent ?? [Deno.execPath(), "run", ...flags, agent],
    deno: Deno.execPath(),
    env: { DENO_DIR: denoCache(), DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1", LANG: "C.UTF-8" },
  });
}

/** The folder in which Deno keeps modules. */
function denoCache(): string {
  const home = Deno.env.get("HOME") ?? "/root";
  return Deno.env.get("DENO_DIR") ??
    `${Deno.env.get("XDG_CACHE_HOME") ?? `${home}/.cache`}/deno`;
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

function removeFolder(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch {
    // It is gone already.
  }
}

function close(closer: { close(): void } | undefined): void {
  try {
    closer?.close();
  } catch {
    // It was closed by its other end.
  }
}
