/**
 * A program as it is shipped: one file for itself and one for each worker entry, side by side.
 *
 * @module
 */

const ROOT = new URL("../../", import.meta.url);
/** How the project starts a worker; the bundler leaves it as it is. */
const WORKER_URL = /new URL\("[^"]*?([\w.]+)\.ts", import\.meta\.url\)/g;

/**
 * Bundles a program of this project.
 *
 * @param program path below the project
 * @param folder takes the files
 * @returns path of the program's file
 */
export async function bundleProgram(program: string, folder: string): Promise<string> {
  const config = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const workers: readonly string[] = config.compile.include;
  for (const worker of workers) await bundle(worker, folder);
  return await bundle(program, folder);
}

async function bundle(entry: string, folder: string): Promise<string> {
  const name = entry.replace(/^.*\//, "").replace(/\.ts$/, ".js");
  const output = `${folder}/${name}`;
  const args = ["bundle", "--quiet", "--output", output, entry];
  const options = { args, cwd: ROOT, stdout: "null", stderr: "piped" } as const;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), options).output();
  if (!success) throw new Error(`deno bundle ${entry}: ${new TextDecoder().decode(stderr)}`);
  const text = await Deno.readTextFile(output);
  const moved = text.replace(WORKER_URL, 'new URL("./$1.js", import.meta.url)');
  await Deno.writeTextFile(output, moved);
  return output;
}
