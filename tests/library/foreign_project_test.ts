/** The library in a project that is none of ours: another folder, another deno.json, no import map of ours. */

import { assertEquals } from "@std/assert";
import { requirement } from "../support/require.ts";

const MOD = new URL("../../src/mod.ts", import.meta.url).href;

/** A program as its author would write it; types are checked, as an editor does. */
const PROGRAM = `
import { ConfigError, createMachine, type Outcome, realModeEntry } from "vireo";

const mistake = await createMachine({ cpu: { count: 0 } }).catch((error: unknown) => error);
console.log(mistake instanceof ConfigError, Deno.cwd().endsWith("/elsewhere"));
await using machine = await createMachine(
  { memory: { size: "1M" }, console: { backend: "none" } },
  {
    loader({ info, memory, vcpus }) {
      memory.write(0x1000, Uint8Array.of(0xba, 0xf8, 0x03, 0xb0, 0x41, 0xee, 0xfa, 0xf4));
      for (const vcpu of vcpus) vcpu.enter(realModeEntry(0, 0x1000));
      console.log(info.cpus, info.memorySize);
    },
  },
);
const outcome: Outcome = await machine.run({ signal: AbortSignal.timeout(30_000) });
console.log(outcome.reason, new TextDecoder().decode(machine.serialLog()));
`;

Deno.test(
  "src/mod.ts is importable from a project elsewhere, which runs a machine",
  requirement("kvm"),
  async () => {
    const folder = await Deno.makeTempDir({ prefix: "vireo-project-" });
    try {
      await Deno.mkdir(`${folder}/elsewhere`);
      await Deno.writeTextFile(
        `${folder}/elsewhere/deno.json`,
        JSON.stringify({ imports: { vireo: MOD }, compilerOptions: { strict: true } }),
      );
      await Deno.writeTextFile(`${folder}/elsewhere/main.ts`, PROGRAM);
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--check", "-A", "main.ts"],
        cwd: `${folder}/elsewhere`,
        env: { NO_COLOR: "1", DENO_TLS_CA_STORE: "mozilla,system" },
        stdin: "null",
      }).output();
      const [out = "", said = ""] = [stdout, stderr].map((bytes) =>
        new TextDecoder().decode(bytes)
      );
      assertEquals([out, code], ["true true\n1 1048576\nhalted A\n", 0], said);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
