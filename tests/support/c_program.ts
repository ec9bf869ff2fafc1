/**
 * Small C programs that benches compare with.
 *
 * @module
 */

/**
 * Compiles a C file.
 *
 * @param source file
 * @param folder takes the program
 * @returns the program's path
 */
export async function compileC(source: URL, folder: string): Promise<string> {
  const program = `${folder}/${source.pathname.replace(/^.*\//, "").replace(/\.c$/, "")}`;
  const args = ["-O2", "-o", program, source.pathname];
  const { success, stderr } = await new Deno.Command("gcc", { args }).output();
  if (!success) throw new Error(`gcc ${source.pathname}: ${new TextDecoder().decode(stderr)}`);
  return program;
}
