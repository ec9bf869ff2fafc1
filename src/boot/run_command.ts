/**
 * Runs the host's own programs (apt, decompressors) for a file or two, never while a guest runs.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";

/** What a program left behind. */
export interface CommandResult {
  /** Exit status, 128+n where a signal ended it. */
  readonly status: number;
  readonly stdout: Uint8Array<ArrayBuffer>;
  /** The end of standard error as text, without the last newline. */
  readonly stderr: string;
}

/** How to run a program. */
export interface CommandOptions {
  /** Working directory. */
  readonly cwd?: string;
  /** Bytes for standard input, which is empty otherwise. */
  readonly input?: Uint8Array;
  /** Most bytes of standard output: a program that writes more is ended, and `stdout` is longer than this. */
  readonly most?: number;
  /** Told each line of standard output as it comes; `stdout` stays empty then. */
  readonly onLine?: (line: string) => void;
  /** Ends the program when aborted. */
  readonly signal?: AbortSignal;
}

/** Something that runs a program by name and arguments and waits for its end. */
export type RunCommand = (
  command: string,
  args: readonly string[],
  options?: CommandOptions,
) => Promise<CommandResult>;

/** The Debian package of each program that we run. */
const PACKAGE_OF: { readonly [command: string]: string } = {
  "apt-cache": "apt",
  "apt-get": "apt",
  "dpkg-deb": "dpkg",
  bzip2: "bzip2",
  gzip: "gzip",
  lz4: "lz4",
  lzop: "lzop",
  xz: "xz-utils",
  zstd: "zstd",
};

/**
 * Runs a program in the C locale and waits for its end.
 *
 * @throws VireoError `environment` where the program does not exist, naming the package that holds it
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const child = spawn(command, args, options);
  const [stdout, stderr, status] = await Promise.all([
    options.onLine ? eachLine(child.stdout, options.onLine) : bytesOf(child.stdout, options.most),
    bytesOf(child.stderr),
    child.status,
    feed(child.stdin, options.input),
  ]);
  options.signal?.throwIfAborted();
  return { status: status.code, stdout, stderr: new TextDecoder().decode(stderr).trimEnd() };
}

function spawn(command: string, args: readonly string[], options: CommandOptions) {
  try {
    return new Deno.Command(command, {
      args: [...args],
      env: { LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const holder = PACKAGE_OF[command] ?? command;
    throw new VireoError(
      "environment",
      `Cannot run ${command}: no such program on this system; install it: apt-get install ${holder}`,
      { cause: error },
    );
  }
}

/** What a stream gives; of one that gives more than `most` the rest is refused, which ends a program with SIGPIPE. */
async function bytesOf(
  stream: ReadableStream<Uint8Array>,
  most = Infinity,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const chunk of stream as ReadableStream<Uint8Array<ArrayBuffer>>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > most) break;
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

async function eachLine(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(onLine);
  }
  return new Uint8Array();
}

/** A program that ends before it has read everything is judged by its status, not by our broken pipe. */
async function feed(
  stdin: WritableStream<Uint8Array>,
  input: Uint8Array | undefined,
): Promise<void> {
  const writer = stdin.getWriter();
  try {
    if (input) await writer.write(input);
    await writer.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
