/**
 * The folder that benches take into the rig: monitors with the libraries that they are linked with, a kernel, an initramfs. The rig's
 * own root has none of them.
 *
 * @module
 */

import { dirname } from "../../src/std/path.ts";

/**
 * Copies a program and what it is linked with.
 *
 * @param program path
 * @param folder takes the copies
 * @returns how the copy is run, wherever the folder is seen
 */
export async function bringProgram(program: string, folder: string): Promise<string[]> {
  const libraries = `${folder}/lib`;
  await Deno.mkdir(libraries, { recursive: true });
  const files = [program, ...await linkedFiles(program)];
  for (const file of files) await Deno.copyFile(file, `${libraries}/${nameOf(file)}`);
  const loader = files.find((file) => nameOf(file).startsWith("ld-linux"));
  const copy = `${libraries}/${nameOf(program)}`;
  if (loader === undefined) return [copy];
  return [`${libraries}/${nameOf(loader)}`, "--library-path", libraries, copy];
}

/** Copies a folder's files, those behind links too, without what is below it. */
export async function bringFiles(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) {
    const path = `${from}/${name}`;
    if ((await Deno.stat(path)).isFile) await Deno.copyFile(path, `${to}/${name}`);
  }
}

/** Where a program is on the search path, or undefined. */
export function onSearchPath(name: string): string | undefined {
  const folders = (Deno.env.get("PATH") ?? "").split(":");
  return folders.map((folder) => `${folder}/${name}`).find(isFile);
}

/** Paths that ldd(1) names; none for a static program. */
async function linkedFiles(program: string): Promise<string[]> {
  const { stdout } = await new Deno.Command("ldd", { args: [program], stderr: "null" }).output();
  const lines = new TextDecoder().decode(stdout).matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm);
  return Array.from(lines, ([, path = ""]) => path);
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function nameOf(path: string): string {
  return path.slice(dirname(path).length + 1);
}
