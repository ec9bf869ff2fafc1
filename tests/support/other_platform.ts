/**
 * What Deno tells a program on a host that no hypervisor is built for: loaded with `--preload`, before the program.
 *
 * @module
 */

Object.defineProperty(Deno, "build", { value: { ...Deno.build, arch: "aarch64" } });
