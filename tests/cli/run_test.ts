/** `vireo run`: its options, its backends and what an end means. Guests are run by the tests of Linux. */

import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { ConfigError, VireoError } from "../../src/base/errors.ts";
import { openBackends } from "../../src/library/backends.ts";
import { statusOfMachine } from "../../src/cli/exit_status.ts";
import { requireFit, run, runHelp } from "../../src/cli/run.ts";
import { RunLog } from "../../src/cli/run_log.ts";
import { actionFor, sentenceOf } from "../../src/cli/run_session.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { write } from "../../src/host/file.ts";
import { describe } from "../support/describe.ts";
import { kernelImage } from "../boot/kernel_image.ts";
import { requirement } from "../support/require.ts";

openAllGroups();

const KERNEL = { kernel: { path: "/vmlinuz" } };
const TERMINAL = { hasKeys: true, size: { columns: 100, rows: 30 } };

Deno.test("openBackends() puts the console on the terminal and keeps the serial port's output", () => {
  using backends = openBackends(describe(KERNEL), TERMINAL);
  assertEquals(backends.console, { input: 0, output: 1, escape: true, columns: 100, rows: 30 });
  assertEquals(backends.serial, { input: -1, output: -1 });
});

Deno.test("openBackends() leaves devices out that are not wanted", () => {
  const none = { console: { backend: "none" }, serial: { backend: "none" } };
  using backends = openBackends(describe({ ...KERNEL, ...none }), undefined);
  assertEquals([backends.console, backends.serial], [null, null]);
});

Deno.test("openBackends() opens files and pseudo-terminals", requirement("ffi"), () => {
  const path = Deno.makeTempFileSync({ prefix: "vireo-console-" });
  try {
    Deno.writeTextFileSync(path, "old");
    const given = { console: { backend: "file", path }, serial: { backend: "pty" } };
    using backends = openBackends(describe({ ...KERNEL, ...given }), undefined);
    assertMatch(backends.ptys["serial"] ?? "", /^\/dev\/pts\/\d+$/);
    assertEquals(backends.serial?.input, backends.serial?.output);
    assertEquals([backends.console?.input, backends.console?.escape], [-1, false]);
    write(backends.console?.output ?? -1, new TextEncoder().encode("new"));
    assertEquals(Deno.readTextFileSync(path), "new");
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test(
  "openBackends() listens on a Unix socket, and names the key of one that is taken",
  requirement("ffi"),
  () => {
    const folder = Deno.makeTempDirSync({ prefix: "vireo-socket-" });
    try {
      const given = { console: { backend: "unix", path: `${folder}/console` } };
      const description = describe({ ...KERNEL, ...given });
      {
        using backends = openBackends(description, undefined);
        assertEquals([backends.console?.input, backends.console?.output], [-1, -1]);
        assert((backends.console?.listener ?? -1) >= 0);
        assertThrows(
          () => openBackends(description, undefined),
          ConfigError,
          `console.path: Another program listens on "${folder}/console"; stop that, or name another`,
        );
      }
      assertEquals([...Deno.readDirSync(folder)], []);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
);

Deno.test("RunLog writes what its level includes, with time and name", requirement("ffi"), () => {
  const file = Deno.makeTempFileSync({ prefix: "vireo-log-" });
  try {
    const given = { ...KERNEL, name: "web", log: { level: "warn", file } };
    using log = new RunLog(describe(given));
    log.info("no");
    log.warn("yes");
    log.error("also");
    const lines = Deno.readTextFileSync(file).trimEnd().split("\n");
    assertEquals(lines.map((line) => line.replace(/^\S+ /, "")), ["web: yes", "web: also"]);
    assertMatch(lines[0] ?? "", /^\d{4}-\d\d-\d\dT[\d:.]+Z web/);
  } finally {
    Deno.removeSync(file);
  }
});

Deno.test("actionFor() asks the description about each end, and about no request from outside", () => {
  const machine = { on_reboot: "restart", on_poweroff: "exit", on_crash: "restart" };
  const description = describe({ ...KERNEL, machine });
  assertEquals(actionFor({ kind: "reboot" }, description), "restart");
  assertEquals(actionFor({ kind: "powered-off" }, description), "exit");
  assertEquals(actionFor({ kind: "crashed", text: "x" }, description), "restart");
  assertEquals(actionFor({ kind: "quit" }, description), "exit");
  assertEquals(actionFor({ kind: "signal", signal: "SIGINT" }, description), "exit");
  assertEquals(actionFor({ kind: "timeout" }, description), "exit");
});

Deno.test("statusOfMachine() gives each end the status of the help", () => {
  const statuses = [
    statusOfMachine({ kind: "powered-off" }),
    statusOfMachine({ kind: "quit" }),
    statusOfMachine({ kind: "crashed", text: "" }),
    statusOfMachine({ kind: "timeout" }),
    statusOfMachine({ kind: "reboot" }),
    statusOfMachine({ kind: "signal", signal: "SIGTERM" }),
  ];
  assertEquals(statuses, [0, 0, 4, 5, 6, 143]);
  for (const status of ["0", "1", "2", "3", "4", "5", "6", "128\\+n"]) {
    assertMatch(runHelp(), new RegExp(`^  ${status}  `, "m"));
  }
});

Deno.test("sentenceOf() a crash is what was seen", () => {
  assertEquals(sentenceOf({ kind: "crashed", text: "The guest halted" }), "The guest halted");
});

/** A kernel file for the length of a test. */
async function withKernel(
  image: Uint8Array,
  work: (path: string) => Promise<void>,
): Promise<void> {
  const path = await Deno.makeTempFile({ prefix: "vireo-kernel-" });
  try {
    await Deno.writeFile(path, image);
    await work(path);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test(
  "requireFit() keeps Linux off a KVM that emulates instructions",
  requirement("ffi"),
  async () => {
    const kvm = { kind: "paravirtual", reason: "no svm" } as const;
    const release = new TextEncoder().encode("6.1.0-9-cloud-amd64 (x) #1\0");
    const named = kernelImage({ fields: { kernel_version: 0x400 } });
    named.set(release, 0x600);
    const banner = new TextEncoder().encode("\x7fELF ... Linux version 6.1.0 (x)");
    const packed = new Blob([banner]).stream().pipeThrough(new CompressionStream("gzip"));
    const gzip = new Uint8Array(await new Response(packed).arrayBuffer());
    for (const image of [named, banner, gzip]) {
      await withKernel(image, async (path) => {
        const unfit = await assertRejects(
          () => requireFit(kvm, path),
          VireoError,
          "use a host with vmx",
        );
        assertEquals(unfit.kind, "compat");
      });
    }
    await withKernel(kernelImage(), async (path) => {
      assertMatch(
        await requireFit(kvm, path) ?? "",
        /emulates instructions, and not all of them: no svm/,
      );
    });
  },
);

Deno.test(
  "run() ends with status 2 for mistakes, before it looks for a KVM",
  requirement("ffi"),
  async () => {
    assertEquals(await run(["--kernel", "/nonexistent", "--memory", "1"]), 2);
    assertEquals(await run([]), 2);
    assertEquals(await run(["--cpus"]), 2);
    assertEquals(await run(["/nonexistent.toml"]), 2);
    assert(runHelp().includes("--console stdio|none|pty|file:PATH"));
  },
);
