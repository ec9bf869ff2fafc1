/**
 * Makes the executable, `deno task compile`: each worker entry and the program bundled into one file, then compiled with the
 * least permissions that work. `DENORT_BIN` names the runtime where Deno's own cannot be downloaded.
 *
 * @module
 */

import { errorText, VireoError } from "./base/errors.ts";
import { statusOfError } from "./cli/exit_status.ts";
import { print, say } from "./cli/say.ts";
import { dirname, fromFileUrl, join, resolve } from "./std/path.ts";

const ROOT = new URL("../", import.meta.url);
/** How the project starts a worker; the bundler leaves it as it is. */
const WORKER_URL = /new URL\("[^"]*?([\w.]+)\.ts", import\.meta\.url\)/g;

/** Variables that the program reads. */
const VARIABLES = [
  "DENO_DIR",
  "HOME",
  "NO_COLOR",
  "PATH",
  "TERM",
  "VIREO_BOOT_FILES",
  "XDG_CACHE_HOME",
];

/**
 * What the executable may do; what is missing is refused without a question. Programs (apt-get, QEMU) stay unnamed because Deno
 * looks names up once at its start, and some are installed later.
 */
export const PERMISSIONS: readonly string[] = [
  "--no-prompt",
  "--allow-ffi",
  "--allow-read",
  "--allow-write",
  "--allow-run",
  `--allow-env=${VARIABLES.join(",")}`,
  "--allow-sys=osRelease,uid",
];

/**
 * What V8 is told in `deno task boot`, in the executable and on the bench: to inline further than it would, so that answering an exit is
 * one piece of code. After the kernel's turn the processor has forgotten where each call and return goes: it saves some 70 ns of 140 to
 * 230.
 */
export const V8_FLAGS: readonly string[] = [
  "--max-inlined-bytecode-size=2000",
  "--max-inlined-bytecode-size-cumulative=4000",
];

/**
 * Bundles a program of this project: one file for itself and one for each worker entry, side by side.
 *
 * @param program path below the project
 * @param folder takes the files
 * @returns path of the program's file
 */
export async function bundleProgram(program: string, folder: string): Promise<string> {
  for (const worker of await workerEntries()) await bundle(worker, folder);
  return await bundle(program, folder);
}

/**
 * Makes the executable with the Deno that runs this.
 *
 * @param output where to
 */
export async function compileProgram(output: string): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-compile-" });
  try {
    const program = await bundleProgram("src/main.ts", folder);
    const workers = (await workerEntries()).map((entry) => `--include=${bundledName(entry)}`);
    const own = [
      ...["--quiet", "--no-check", "--no-config", "--no-lock", "--no-code-cache"],
      `--v8-flags=${V8_FLAGS.join(",")}`,
    ];
    await Deno.mkdir(dirname(output), { recursive: true });
    await deno(
      ["compile", ...own, ...PERMISSIONS, ...workers, `--output=${output}`, program],
      folder,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function workerEntries(): Promise<readonly string[]> {
  return JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT))).compile.include;
}

/** Names are unique: in the bundle all entries lie in one folder. */
function bundledName(entry: string): string {
  return entry.replace(/^.*\//, "").replace(/\.ts$/, ".js");
}

async function bundle(entry: string, folder: string): Promise<string> {
  const output = join(folder, bundledName(entry));
  await deno(["bundle", "--quiet", "--output", output, entry], ROOT);
  const text = await Deno.readTextFile(output);
  const moved = text.replace(WORKER_URL, 'new URL("./$1.js", import.meta.url)');
  await Deno.writeTextFile(output, moved);
  return output;
}

async function deno(args: readonly string[], cwd: string | URL): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd,
    env: { NO_COLOR: "1" },
    stdout: "null",
    stderr: "piped",
  }).output();
  if (success) return;
  const text = new TextDecoder().decode(stderr);
  // The line that names the download, where there was one; Deno's first line says what it was for.
  const why = /error sending request.*/.exec(text)?.[0] ?? text.trim();
  const next = "where the runtime cannot be downloaded, name it by DENORT_BIN";
  throw new VireoError("environment", `Cannot ${args[0]} with Deno: ${why}; ${next}`);
}

async function main(): Promise<number> {
  const output = resolve(Deno.args[0] ?? fromFileUrl(new URL("dist/vireo", ROOT)));
  try {
    await compileProgram(output);
    const { size } = await Deno.stat(output);
    return print(`${output}: ${Math.round(size / 2 ** 20)} MiB\n`);
  } catch (error) {
    say(errorText(error));
    return statusOfError(error);
  }
}

if (import.meta.main) Deno.exit(await main());
