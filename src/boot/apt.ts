/**
 * Debian's archive through apt: what a package is called there, and its file. Nothing is installed, and dpkg's database is
 * neither read nor written, so any user can do it.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import { join } from "../std/path.ts";
import { cannotWrite, exists, isDiskFull, makeFolder } from "./cache_folder.ts";
import type { RunCommand } from "./run_command.ts";

/** What the archive says about one version of a package. */
export interface AptRecord {
  readonly name: string;
  readonly version: string;
  /** Size of the package file in bytes. */
  readonly size: number;
  /** Bytes that its files take, unpacked. */
  readonly installedSize: number;
  /** Names it depends on; of alternatives the first. */
  readonly depends: readonly string[];
}

/** One view of the archive: the system's package lists, or lists of our own. */
export class Apt {
  readonly #run: RunCommand;
  readonly #options: readonly string[];
  readonly #own: readonly string[];

  /**
   * @param run runs apt
   * @param options apt's own options, `Name=value`
   */
  constructor(run: RunCommand, options: readonly string[]) {
    this.#run = run;
    this.#own = options;
    this.#options = [...COMMON, ...options].flatMap((option) => ["-o", option]);
  }

  /** The lists that are on the system already, as old as they are. */
  static system(run: RunCommand): Apt {
    return new Apt(run, []);
  }

  /** Lists of our own below `folder`, for a system without (current) lists or a user who cannot renew them. */
  static async own(run: RunCommand, folder: string): Promise<Apt> {
    await makeFolder(join(folder, "lists", "partial"));
    await makeFolder(join(folder, "archives", "partial"));
    const status = join(folder, "status");
    await Deno.writeTextFile(status, "");
    return new Apt(run, [
      `Dir::State=${folder}`,
      `Dir::State::lists=${join(folder, "lists")}`,
      `Dir::State::status=${status}`,
      `Dir::Cache=${folder}`,
      `Dir::Cache::archives=${join(folder, "archives")}`,
    ]);
  }

  /**
   * Lists of our own, of another Debian release than this system's, from the same archive.
   *
   * @param suite the release: `trixie`
   * @throws UnavailableError where this system has no source of Debian's
   */
  static async release(run: RunCommand, folder: string, suite: string): Promise<Apt> {
    const uri = await Apt.system(run).#debianArchive();
    const own = await Apt.own(run, folder);
    const list = join(folder, "sources.list");
    const keys = await exists(KEYRING) ? `[signed-by=${KEYRING}] ` : "";
    await Deno.writeTextFile(list, `deb ${keys}${uri} ${suite} main\n`);
    const sources = [`Dir::Etc::sourcelist=${list}`, "Dir::Etc::sourceparts=-"];
    return new Apt(run, [...own.#own, ...sources]);
  }

  /** Where this system's sources find Debian itself, which is neither its security nor its backports. */
  async #debianArchive(): Promise<string> {
    const args = ["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"];
    const { stdout } = await this.#call("apt-get", args);
    const uris = new TextDecoder().decode(stdout).split("\n");
    const uri = uris.find((uri) => /\/debian\/?$/.test(uri));
    if (uri !== undefined) return uri;
    throw new UnavailableError("Cannot find Debian's archive among apt's sources");
  }

  /** Renews the lists. A source that fails is not an error, the packages in it stay unknown; gives apt's complaint if any. */
  async update(signal?: AbortSignal): Promise<string | undefined> {
    const { stderr } = await this.#call("apt-get", ["-q", "update"], signal);
    return stderr === "" ? undefined : firstComplaint(stderr);
  }

  /**
   * Looks a package up.
   *
   * @throws UnavailableError where the lists don't have it
   */
  async show(name: string, signal?: AbortSignal): Promise<AptRecord> {
    const { status, stdout } = await this.#call(
      "apt-cache",
      ["show", "--no-all-versions", name],
      signal,
    );
    const record = status === 0 ? parseAptRecord(new TextDecoder().decode(stdout)) : undefined;
    if (record) return record;
    throw new UnavailableError(`Cannot find package ${name} in apt's package lists`);
  }

  /**
   * Puts a package's file into a folder; apt checks its sum. Gives the file's path.
   *
   * @param options `progress` is told the part that has come, 0 to 1
   * @throws UnavailableError where the archive does not give the file; VireoError `environment` where the folder does not take it
   */
  async download(
    record: AptRecord,
    folder: string,
    options: { readonly progress?: (part: number) => void; readonly signal?: AbortSignal } = {},
  ): Promise<string> {
    const { progress, signal } = options;
    const result = await this.#run(
      "apt-get",
      [
        ...this.#options,
        "-qq",
        "-o",
        "APT::Status-Fd=1",
        "download",
        `${record.name}=${record.version}`,
      ],
      {
        cwd: folder,
        onLine: (line) => {
          const percent = /^dlstatus:\d+:([\d.]+):/.exec(line)?.[1];
          if (percent !== undefined) progress?.(Number(percent) / 100);
        },
        ...(signal ? { signal } : {}),
      },
    );
    for await (const entry of Deno.readDir(folder)) {
      if (result.status === 0 && entry.name.startsWith(`${record.name}_`)) {
        return join(folder, entry.name);
      }
    }
    const complaint = firstComplaint(result.stderr);
    if (isDiskFull(complaint)) throw cannotWrite(folder, complaint);
    throw new UnavailableError(
      `Cannot fetch package ${record.name} ${record.version}: ${complaint}`,
    );
  }

  async #call(command: string, args: readonly string[], signal?: AbortSignal) {
    return await this.#run(command, [...this.#options, ...args], signal ? { signal } : {});
  }
}

/** The lists lack a package, or the archive no longer has the file that they name: newer lists may help. */
export class UnavailableError extends VireoError {
  /** @param message which package, and apt's reason */
  constructor(message: string) {
    super("environment", message);
  }
}

/** The package debian-archive-keyring brings it. */
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

const COMMON = [
  // As root apt drops to a user who cannot write into our cache folder, and says so.
  "APT::Sandbox::User=root",
  "Acquire::Languages=none",
  "Acquire::GzipIndexes=true",
  "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
  "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false",
  "Acquire::Retries=2",
  "Acquire::http::Timeout=20",
  "Acquire::https::Timeout=20",
];

/** Reads the first record of `apt-cache show`. Undefined where it lacks a name or version, as of a virtual package. */
export function parseAptRecord(text: string): AptRecord | undefined {
  const fields = new Map<string, string>();
  for (const line of (text.split("\n\n")[0] ?? "").split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0 && !line.startsWith(" ")) fields.set(line.slice(0, colon), line.slice(colon + 2));
  }
  const name = fields.get("Package");
  const version = fields.get("Version");
  if (!name || !version) return undefined;
  const depends = (fields.get("Depends") ?? "").split(",")
    .map((item) => /^\s*([a-z0-9][a-z0-9+.-]*)/.exec(item)?.[1])
    .filter((item) => item !== undefined);
  const numberOf = (field: string) => Number(fields.get(field) ?? 0);
  const installedSize = numberOf("Installed-Size") * 1024;
  return { name, version, size: numberOf("Size"), installedSize, depends };
}

/** apt ends with advice and a summary; what went wrong is the first error, or else the first warning. */
function firstComplaint(text: string): string {
  const lines = text.split("\n");
  const complaint = lines.find((line) => line.startsWith("E: ")) ??
    lines.find((line) => line.startsWith("W: ")) ?? lines.at(-1);
  return complaint?.replace(/^[EW]: /, "") || "apt gave no reason";
}
