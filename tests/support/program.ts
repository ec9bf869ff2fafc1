/**
 * The program as its users have it: run from the source, and compiled.
 *
 * @module
 */

import { errorText } from "../../src/base/errors.ts";
import { findDeno, OLDEST_DENO } from "../runner/hosts.ts";

const ROOT = new URL("../../", import.meta.url);

/** One form of the program. */
export interface Program {
  readonly name: "source" | "executable";
  /** What starts it, up to its first argument. */
  readonly command: readonly [string, ...string[]];
  /** Why it can't be started here. */
  readonly missing?: string;
}

/** `deno run src/main.ts`. */
export const SOURCE: Program = {
  name: "source",
  command: [
    Deno.execPath(),
    ...["run", "--allow-all", "--no-check", new URL("src/main.ts", ROOT).pathname],
  ],
};

/**
 * Compiles the executable into a folder that goes with the test file. Where `DENORT_BIN` names the runtime of compiled programs
 * that is the oldest Deno's; otherwise this Deno downloads its own, and the skip says why where it can't.
 */
export async function compiledProgram(): Promise<Program> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-executable-" });
  addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  const path = `${folder}/vireo`;
  const missing = await compile(path).catch(errorText);
  const program = { name: "executable", command: [path] } as const;
  return missing === undefined ? program : { ...program, missing };
}

/** Why there is no executable; undefined where there is one now. */
async function compile(path: string): Promise<string | undefined> {
  const deno = Deno.env.get("DENORT_BIN") === undefined || Deno.version.deno === OLDEST_DENO
    ? { program: Deno.execPath() }
    : await findDeno(OLDEST_DENO);
  if ("reason" in deno) return `no Deno ${OLDEST_DENO} to compile with: ${deno.reason}`;
  const { success, stderr } = await new Deno.Command(deno.program, {
    args: ["run", "--allow-all", "--no-check", new URL("src/compile.ts", ROOT).pathname, path],
    env: { NO_COLOR: "1", DENO_TLS_CA_STORE: "mozilla,system" },
    stdout: "null",
    stderr: "piped",
  }).output();
  if (success) return undefined;
  return new TextDecoder().decode(stderr).trim();
}

/**
 * What starts a command that may not open /dev/kvm, by a device of its own with mode 000 and without root's right to open it all
 * the same. Needs `namespaces`.
 */
export const WITHOUT_KVM_RIGHTS: readonly [string, ...string[]] = [
  ...["unshare", "-m", "sh", "-c"] as const,
  "mount -t tmpfs tmpfs /mnt && mknod -m 0 /mnt/kvm c 10 232 && mount --bind /mnt/kvm /dev/kvm && " +
  'exec setpriv --bounding-set=-dac_override,-dac_read_search "$@"',
  "-",
];

/** How a program ended. */
export interface Ended {
  /** Exit status; 128+n for signal n. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a program is started with. */
export interface StartOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Signal to send, and the text on stdout after which. */
  readonly signal?: readonly [after: string, signal: Deno.Signal];
}

/** Longest that any of these programs may take, in ms; it is killed then. */
const BOUND = 240_000;

/** Runs a command to its end. */
export async function runProgram(
  [program, ...args]: readonly [string, ...string[]],
  options: StartOptions = {},
): Promise<Ended> {
  const child = new Deno.Command(program, {
    args,
    cwd: options.cwd ?? Deno.cwd(),
    env: { NO_COLOR: "1", ...options.env },
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const bound = setTimeout(() => child.kill("SIGKILL"), BOUND);
  const [after, signal] = options.signal ?? [];
  const [out, err, status] = await Promise.all([
    collect(child.stdout, (text) => {
      if (signal !== undefined && after !== undefined && text.includes(after)) child.kill(signal);
    }),
    new Response(child.stderr).text(),
    child.status,
    feed(child, options.stdin),
  ]);
  clearTimeout(bound);
  return { status: status.code, stdout: out, stderr: err };
}

async function collect(
  stream: ReadableStream<Uint8Array>,
  seen: (text: string) => void,
): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    seen(text);
  }
  return text;
}

async function feed(child: Deno.ChildProcess, text: string | undefined): Promise<void> {
  if (text === undefined) return;
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
}
