/**
 * Kernel modules: finds wanted ones and what they need in a modules folder, in load order. Dependencies are read from the modules
 * themselves, since a Debian package that was never installed has no modules.dep.
 *
 * @module
 */

import { Elf64_Ehdr, Elf64_Shdr } from "../abi/elf.ts";
import { viewOf } from "../base/bytes.ts";
import { VireoError } from "../base/errors.ts";
import { sizeof } from "../base/struct.ts";
import { join } from "../std/path.ts";
import { isElf } from "./elf_kernel.ts";
import { type RunCommand, runCommand } from "./run_command.ts";

/** A module, ready to be loaded. */
export interface KernelModule {
  /** Name with underscores, as the kernel spells it. */
  readonly name: string;
  /** The object file, not compressed. */
  readonly data: Uint8Array;
  /** Names of the modules that must be loaded before it. */
  readonly depends: readonly string[];
  /** Other names that the kernel may ask for it with, `fs-ext4`. */
  readonly aliases: readonly string[];
}

/** A kernel's modules folder, `/lib/modules/6.1.0-9-cloud-amd64`. */
export interface ModulesFolder {
  readonly path: string;
  /** Files below the folder by module name. */
  readonly files: ReadonlyMap<string, string>;
  /** Names of what is built into the kernel. */
  readonly builtin: ReadonlySet<string>;
}

/** Lists a modules folder. */
export async function readModulesFolder(path: string): Promise<ModulesFolder> {
  const files = new Map<string, string>();
  for await (const file of moduleFiles(join(path, "kernel"))) files.set(moduleName(file), file);
  let list = "";
  try {
    list = await Deno.readTextFile(join(path, "modules.builtin"));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const builtin = new Set(list.split("\n").filter((line) => line !== "").map(moduleName));
  return { path, files, builtin };
}

/**
 * The wanted modules and all that they need, each after what it needs. What is built in is left out, and so is what this kernel
 * does not have at all.
 *
 * @param run runs decompressors; tests put their own here
 */
export async function resolveModules(
  folder: ModulesFolder,
  wanted: readonly string[],
  run: RunCommand = runCommand,
): Promise<KernelModule[]> {
  const loaded = new Map<string, KernelModule>();
  const visiting = new Set<string>();
  const visit = async (given: string): Promise<void> => {
    const name = moduleName(given);
    const file = folder.files.get(name);
    if (visiting.has(name) || file === undefined) return;
    visiting.add(name);
    const data = await readModule(file, run);
    const info = parseModinfo(data, file);
    for (const need of [...info.depends, ...info.before]) await visit(need);
    const depends = [...info.depends, ...info.before].map(moduleName)
      .filter((need) => loaded.has(need));
    loaded.set(name, { name, data, depends, aliases: info.aliases });
    for (const follower of info.after) await visit(follower);
  };
  for (const name of wanted) await visit(name);
  return [...loaded.values()];
}

/** Whether this kernel can do what the module does, loaded or built in. */
export function hasModule(folder: ModulesFolder, name: string): boolean {
  return folder.files.has(moduleName(name)) || folder.builtin.has(moduleName(name));
}

/** What a module says about itself in its `.modinfo` section. */
export interface ModuleInfo {
  /** Modules whose symbols it uses. */
  readonly depends: readonly string[];
  /** Modules to load before it where they exist (`softdep=pre:`). */
  readonly before: readonly string[];
  /** Modules to load after it where they exist (`softdep=post:`). */
  readonly after: readonly string[];
  readonly aliases: readonly string[];
}

/**
 * Reads the `.modinfo` section of a module, an ELF-64 object file.
 *
 * @param file its name, for errors
 */
export function parseModinfo(data: Uint8Array, file: string): ModuleInfo {
  const fields = new TextDecoder().decode(modinfoSection(data, file)).split("\0");
  const values = (key: string) =>
    fields.filter((field) => field.startsWith(`${key}=`)).map((field) =>
      field.slice(key.length + 1)
    );
  const softdeps = values("softdep").map(parseSoftdep);
  return {
    depends: values("depends").flatMap((list) => list.split(",")).filter((name) => name !== ""),
    before: softdeps.flatMap(({ before }) => before),
    after: softdeps.flatMap(({ after }) => after),
    aliases: values("alias"),
  };
}

/** `pre: a b post: c` */
function parseSoftdep(text: string): { readonly before: string[]; readonly after: string[] } {
  const before: string[] = [];
  const after: string[] = [];
  let list = before;
  for (const word of text.split(/\s+/).filter((word) => word !== "")) {
    if (word === "pre:") list = before;
    else if (word === "post:") list = after;
    else list.push(word);
  }
  return { before, after };
}

function modinfoSection(data: Uint8Array, file: string): Uint8Array {
  const view = viewOf(data);
  if (data.length < sizeof(Elf64_Ehdr) || !isElf(data)) {
    throw badModule(file, "it is no ELF file");
  }
  const table = word(view, Elf64_Ehdr.e_shoff);
  const count = view.getUint16(Elf64_Ehdr.e_shnum, true);
  if (table + count * sizeof(Elf64_Shdr) > data.length) {
    throw badModule(file, "its section table reaches past its end");
  }
  const section = (index: number): Uint8Array => {
    const at = table + index * sizeof(Elf64_Shdr);
    if (index >= count) throw badModule(file, `it has no section ${index}`);
    const start = word(view, at + Elf64_Shdr.sh_offset);
    const end = start + word(view, at + Elf64_Shdr.sh_size);
    if (end > data.length) throw badModule(file, "a section reaches past its end");
    return data.subarray(start, end);
  };
  const names = new TextDecoder().decode(section(view.getUint16(Elf64_Ehdr.e_shstrndx, true)));
  for (let index = 0; index < count; index++) {
    const name = view.getUint32(table + index * sizeof(Elf64_Shdr) + Elf64_Shdr.sh_name, true);
    if (names.startsWith(".modinfo\0", name)) return section(index);
  }
  throw badModule(file, "it has no .modinfo section");
}

/** A 64-bit field as a number; what is above 2⁵³ is past the end of any file anyway. */
function word(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

const SUFFIX = /\.ko(\.xz|\.zst|\.gz)?$/;
const UNPACK: { readonly [suffix: string]: readonly [command: string, ...args: string[]] } = {
  ".xz": ["xz", "-dc"],
  ".zst": ["zstd", "-dcq"],
  ".gz": ["gzip", "-dc"],
};

async function readModule(file: string, run: RunCommand): Promise<Uint8Array> {
  const packed = await Deno.readFile(file);
  const unpack = UNPACK[SUFFIX.exec(file)?.[1] ?? ""];
  if (!unpack) return packed;
  const [command, ...args] = unpack;
  const { status, stdout, stderr } = await run(command, args, { input: packed });
  if (status !== 0) throw badModule(file, `${command}: ${stderr}`);
  return stdout;
}

async function* moduleFiles(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* moduleFiles(path);
    else if (SUFFIX.test(entry.name)) yield path;
  }
}

/** The kernel takes `-` and `_` in module names as the same. */
function moduleName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1).replace(SUFFIX, "").replaceAll("-", "_");
}

function badModule(file: string, why: string): VireoError {
  return new VireoError("load_memory", `Cannot use kernel module "${file}": ${why}`);
}
