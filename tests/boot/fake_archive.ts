import type { CommandOptions, CommandResult, RunCommand } from "../../src/boot/run_command.ts";

/** A package in the archive that tests play. */
export interface FakePackage {
  readonly version: string;
  readonly depends?: string;
  /** Files that unpacking makes, by path below the root. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Plays apt and dpkg-deb over a few packages, and remembers what it was asked. */
export class FakeArchive {
  /** Each command with its arguments, options left out. */
  readonly calls: string[] = [];
  /** Whether the system's own package lists know the packages. */
  systemLists = true;
  /** Whether lists of one's own can be fetched, and files from the archive. */
  network = true;
  /** What apt complains about when it fetches something, if it fails. */
  fetchError = "";
  /** Where this system's sources find packages. */
  sources: readonly string[] = ["http://archive/debian-security/", "http://archive/debian/"];
  /** What dpkg-deb complains about, if it fails. */
  unpackError = "";
  readonly #packages: Readonly<Record<string, FakePackage>>;
  #updated = false;

  constructor(packages: Readonly<Record<string, FakePackage>>) {
    this.#packages = packages;
  }

  readonly run: RunCommand = async (command, args, options = {}) => {
    const words = withoutOptions(args);
    this.calls.push([command, ...words].join(" "));
    const isOwn = args.some((arg) => arg.startsWith("Dir::State="));
    if (command === "dpkg-deb") return await this.#unpack(words[1] ?? "", words[2] ?? "");
    if (words[0] === "indextargets") return result(0, this.sources.join("\n"));
    if (words[0] === "update") return this.#update();
    if (words[0] === "download") return await this.#download(words[1] ?? "", options);
    return this.#show(words[1] ?? "", isOwn ? this.#updated : this.systemLists);
  };

  #show(name: string, listsKnow: boolean): CommandResult {
    const found = this.#packages[name];
    if (!found || !listsKnow) return result(100, "", `E: No packages found`);
    const depends = found.depends === undefined ? "" : `Depends: ${found.depends}\n`;
    return result(
      0,
      `Package: ${name}\nVersion: ${found.version}\n${depends}Size: 1000000\nInstalled-Size: 1600\n\n`,
    );
  }

  #update(): CommandResult {
    if (this.fetchError !== "") return result(0, "", this.fetchError);
    this.#updated = this.network;
    const complaint = "W: Failed to fetch http://archive/InRelease  Temporary failure\nW: Some";
    return this.network ? result(0, "") : result(0, "", complaint);
  }

  async #download(what: string, { cwd, onLine }: CommandOptions): Promise<CommandResult> {
    if (!this.network) return result(100, "", "E: Failed to fetch it  404  Not Found\nE: Unable");
    if (this.fetchError !== "") return result(100, "", this.fetchError);
    onLine?.("dlstatus:1:50.0:Retrieving file 1 of 1");
    await Deno.writeTextFile(
      `${cwd}/${what.replace("=", "_").replace(":", "%3a")}_amd64.deb`,
      what,
    );
    return result(0, "");
  }

  async #unpack(deb: string, root: string): Promise<CommandResult> {
    if (this.unpackError !== "") return result(2, "", this.unpackError);
    const name = (await Deno.readTextFile(deb)).split("=")[0] ?? "";
    await Deno.mkdir(root, { recursive: true });
    for (const [path, text] of Object.entries(this.#packages[name]?.files ?? {})) {
      const file = `${root}/${path}`;
      await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
      await Deno.writeTextFile(file, text);
    }
    return result(0, "");
  }
}

function withoutOptions(args: readonly string[]): string[] {
  return args.filter((arg, index) =>
    arg !== "-o" && args[index - 1] !== "-o" && !/^-q|^--no-all/.test(arg)
  );
}

function result(status: number, stdout: string, stderr = ""): CommandResult {
  return { status, stdout: new TextEncoder().encode(stdout), stderr };
}
