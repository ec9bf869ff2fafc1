// deno-lint-ignore-file no-console -- it prints, as programs do

/** Runs the machine of a TOML file to its end: `deno run -A examples/from_file.ts [vm.toml]`. */

import { createMachine } from "../src/mod.ts";

const file = Deno.args[0] ?? new URL("vm.toml", import.meta.url);
await using machine = await createMachine(file, {
  logger: { log: ({ level, source, message }) => console.error(`${level}: ${source}: ${message}`) },
});
console.error(`${machine.devices.length} devices, ${machine.config.cpus} vCPUs`);
const outcome = await machine.run({ signal: AbortSignal.timeout(300_000) });
await machine.flush(10_000);
console.error(outcome.text);
Deno.exitCode = outcome.reason === "powered-off" ? 0 : 1;
