/**
 * The rig as a program, for developers and the test task.
 *
 * @module
 */

import { errorText, VireoError } from "../base/errors.ts";
import { END_SIGNALS, type EndSignal, onSignal } from "../host/signals.ts";
import { dirname } from "../std/path.ts";
import { runAttached } from "./attach.ts";
import { Rig } from "./rig.ts";
import { Runner } from "./runner.ts";

const USAGE = `Runs commands in the rig, a full KVM that QEMU emulates, in the current folder.

  main.ts [OPTION]… -- COMMAND…         start a rig, run COMMAND in it, exit with its status
  main.ts serve [OPTION]…               keep a rig up for exec, until SIGINT or SIGTERM
  main.ts exec [OPTION]… -- COMMAND…    run COMMAND in the rig that is kept up

  --memory SIZE    its memory as QEMU takes it (3G)
  --socket PATH    where serve listens and exec connects
  --timeout MS     kill COMMAND after so many milliseconds
`;

/** Status of a failure that is ours, as in env(1) and ssh(1): above it come the command's own. */
const OWN_FAILURE = 125;

interface Arguments {
  readonly verb: string;
  readonly options: ReadonlyMap<string, string>;
  readonly command: readonly string[];
}

async function main(args: readonly string[]): Promise<number> {
  try {
    const parsed = parseArguments(args);
    const verb = Object.hasOwn(VERBS, parsed.verb) ? VERBS[parsed.verb] : undefined;
    if (verb) return await verb(parsed);
    say(USAGE.trimEnd());
    return parsed.verb === "--help" ? 0 : 2;
  } catch (error) {
    say(errorText(error));
    return error instanceof Interrupted ? 128 + END_SIGNALS[error.signal] : OWN_FAILURE;
  }
}

/** A signal ended us before there was a command that it could mean. */
class Interrupted extends VireoError {
  readonly signal: EndSignal;

  constructor(signal: EndSignal) {
    super("environment", `Ended by ${signal}`);
    this.signal = signal;
  }
}

const VERBS: { readonly [verb: string]: (parsed: Arguments) => Promise<number> } = {
  run: runOnce,
  serve,
  exec: execute,
};

function parseArguments(args: readonly string[]): Arguments {
  const end = args.indexOf("--");
  const own = end < 0 ? args : args.slice(0, end);
  const hasVerb = own[0] !== undefined && (own[0] === "--help" || !own[0].startsWith("--"));
  const options = new Map<string, string>();
  for (let at = hasVerb ? 1 : 0; at < own.length; at += 2) {
    const [name = "", value] = own.slice(at, at + 2);
    if (!OPTIONS.includes(name) || value === undefined) {
      throw new VireoError("config", `Cannot understand "${name}"; see --help`);
    }
    options.set(name, value);
  }
  const command = end < 0 ? [] : args.slice(end + 1);
  const runs = end >= 0 && command.length > 0;
  const verb = hasVerb ? own[0] ?? "" : runs ? "run" : "";
  return { verb: verb === "exec" && !runs ? "" : verb, options, command };
}

const OPTIONS = ["--memory", "--socket", "--timeout"];

async function runOnce({ options, command }: Arguments): Promise<number> {
  await using rig = await startRig(options);
  return await runAttached(rig, command, attachOptions(options));
}

async function serve({ options }: Arguments): Promise<number> {
  await using rig = await startRig(options);
  const stopped = Promise.withResolvers<undefined>();
  using handlers = new DisposableStack();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    handlers.use(onSignal(signal, () => stopped.resolve(undefined)));
  }
  const path = socketPath(options);
  await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await Deno.remove(path).catch(() => {});
  using listener = Deno.listen({ transport: "unix", path });
  void acceptClients(listener, rig);
  say(`The rig is up; run commands in it with exec --socket ${path}`);
  const failure = await Promise.race([rig.closed, stopped.promise]);
  await Deno.remove(path).catch(() => {});
  if (failure !== undefined) throw failure;
  return 0;
}

async function acceptClients(listener: Deno.UnixListener, rig: Rig): Promise<void> {
  for await (const client of listener) {
    // A client that breaks off ends its own runs and nothing else.
    void rig.relay(client).catch(() => {}).finally(() => client.close());
  }
}

async function execute({ options, command }: Arguments): Promise<number> {
  const path = socketPath(options);
  const lost = (cause: unknown) =>
    new VireoError("environment", `Lost the rig at "${path}"; its own output says why`, { cause });
  try {
    const runner = new Runner(await Deno.connect({ transport: "unix", path }), lost);
    return await runAttached(runner, command, attachOptions(options));
  } catch (error) {
    if (
      !(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.ConnectionRefused)
    ) {
      throw error;
    }
    throw new VireoError("environment", `No rig is up at "${path}"; start one with serve`);
  }
}

async function startRig(options: ReadonlyMap<string, string>): Promise<Rig> {
  const memory = options.get("--memory");
  const interrupted = new AbortController();
  using handlers = new DisposableStack();
  for (const signal of Object.keys(END_SIGNALS) as EndSignal[]) {
    handlers.use(onSignal(signal, () => interrupted.abort(new Interrupted(signal))));
  }
  return await Rig.start({
    project: Deno.cwd(),
    progress: say,
    signal: interrupted.signal,
    ...memory === undefined ? {} : { memory },
  });
}

function attachOptions(options: ReadonlyMap<string, string>) {
  const timeout = options.get("--timeout");
  return { cwd: Deno.cwd(), ...timeout === undefined ? {} : { timeout: Number(timeout) } };
}

function socketPath(options: ReadonlyMap<string, string>): string {
  const folder = Deno.env.get("XDG_RUNTIME_DIR") ?? `/tmp/vireo-${Deno.uid()}`;
  return options.get("--socket") ?? `${folder}/rig.sock`;
}

function say(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
}

if (import.meta.main) Deno.exit(await main(Deno.args));
