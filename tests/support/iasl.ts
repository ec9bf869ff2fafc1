/**
 * ACPI's own compiler and disassembler.
 *
 * @module
 */

/** Runs iasl in a folder of its own, with `files` in it. */
export function iasl(args: readonly string[], files: Readonly<Record<string, Uint8Array>>): {
  readonly output: string;
  read(name: string): Uint8Array;
  [Symbol.dispose](): void;
} {
  const folder = Deno.makeTempDirSync({ prefix: "vireo-iasl-" });
  for (const [name, bytes] of Object.entries(files)) {
    Deno.writeFileSync(`${folder}/${name}`, bytes);
  }
  const { stdout, stderr } = new Deno.Command("iasl", {
    args: [...args],
    cwd: folder,
    stdout: "piped",
    stderr: "piped",
  }).outputSync();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return {
    output: decode(stdout) + decode(stderr),
    read: (name) => Deno.readFileSync(`${folder}/${name}`),
    [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }),
  };
}
