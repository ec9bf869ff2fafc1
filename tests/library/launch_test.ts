/** Vireo as a process of its own, with tiny guests on whatever KVM there is. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { O_RDONLY, O_RDWR } from "../../src/abi/linux.ts";
import { ConfigError, LaunchError, VireoError } from "../../src/base/errors.ts";
import { Fd } from "../../src/host/fd.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { bundleProgram } from "../../src/compile.ts";
import { launch, type LaunchOptions } from "../../src/library/launch.ts";
import type { MachineDescription } from "../../src/library/machine_source.ts";
import { writeGuests } from "../support/guest_kernel.ts";
import { requirement } from "../support/require.ts";

openAllGroups();

/** Calls back with a folder of guests. */
async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-launch-" });
  try {
    writeGuests(folder);
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A machine whose serial port is on the process' stdin and stdout. */
function described(kernel: string): MachineDescription {
  return {
    kernel: { path: kernel },
    memory: { size: "32M" },
    console: { backend: "none" },
    serial: { backend: "stdio" },
  };
}

Deno.test(
  "launch() gives a running machine, its streams, and how it ended",
  requirement("kvm"),
  () =>
    inFolder(async (folder) => {
      await using machine = await launch(described(`${folder}/echo.img`));
      const input = machine.stdin.getWriter();
      await input.write(new TextEncoder().encode("Hello, guest"));
      await input.write(new TextEncoder().encode("q"));
      input.releaseLock();
      assertEquals(await new Response(machine.stdout).text(), "Hello, guest");
      const { code, signal } = await machine.ended;
      assertEquals([code, signal], [0, null]);
    }),
);

Deno.test(
  "launch() rejects with what a process says that does not get ready (row 2.13)",
  requirement("ffi"),
  async () => {
    const error = await assertRejects(
      () => launch("--kernel /nowhere/vmlinuz --console none"),
      LaunchError,
    );
    assertEquals([error.kind, error.code], ["launch", 2]);
    assertMatch(error.stderr, /kernel\.path: .*\/nowhere\/vmlinuz/);
    assertMatch(error.message, /ended with status 2 before it was ready: .*\/nowhere\/vmlinuz/);
  },
);

Deno.test("launch() tells the mistakes of an object by itself", requirement("ffi"), async () => {
  const error = await assertRejects(() => launch({ cpu: { count: 0 } }), ConfigError);
  assertMatch(error.message, /kernel\.path: It is missing/);
});

Deno.test(
  "launch() kills a process that is not ready in time, and names a program that is none (row 2.13)",
  requirement("ffi"),
  async () => {
    const start = (options: LaunchOptions) =>
      assertRejects(() => launch("--kernel x", options), VireoError);
    const late = await start({
      program: ["sh", "-c", "echo slow >&2; exec sleep 60"],
      timeout: 300,
    });
    assertMatch(late.message, /not ready after 300 ms: slow/);
    assertMatch((await start({ program: ["/nowhere/vireo"] })).message, /start \/nowhere\/vireo/);
    const nobodys = await start({ descriptors: [9999] });
    assertMatch(nobodys.message, /Cannot hand descriptor 9999 on: .*EBADF/);
  },
);

Deno.test(
  "launch() hands descriptors on: a kernel and a disk whose files have no name any more (row 2.14)",
  requirement("kvm"),
  () =>
    inFolder(async (folder) => {
      await Deno.writeFile(`${folder}/disk.img`, new Uint8Array(512));
      using kernel = Fd.open(`${folder}/echo.img`, O_RDONLY);
      using disk = Fd.open(`${folder}/disk.img`, O_RDWR);
      await Deno.remove(`${folder}/echo.img`);
      await Deno.remove(`${folder}/disk.img`);
      const given = {
        ...described(`fd:${kernel.number}`),
        disk: [{ path: `fd:${disk.number}` }],
      };
      const descriptors = [kernel.number, disk.number];
      await using machine = await launch(given, { descriptors });
      const links = descriptors.map((fd) => Deno.readLinkSync(`/proc/${machine.pid}/fd/${fd}`));
      assert(links.every((link) => link.endsWith(".img (deleted)")), links.join());
      const status = await machine.stop();
      assertEquals(status.code, 128 + 15);
    }),
);

/** A user and group that own nothing. */
const NOBODY = 65534;

Deno.test(
  "launch() runs the process as another user, with what that one may not open handed on (rows 2.14, 2.15)",
  requirement("kvm", "root"),
  () =>
    inFolder(async (folder) => {
      await Deno.copyFile(Deno.execPath(), `${folder}/deno`);
      await Deno.chmod(`${folder}/deno`, 0o755);
      const main = await bundleProgram("src/main.ts", `${folder}/bundle`);
      await Deno.chmod(folder, 0o755);
      await Deno.chmod(`${folder}/echo.img`, 0o600);
      using kvm = Fd.open("/dev/kvm", O_RDWR);
      using kernel = Fd.open(`${folder}/echo.img`, O_RDONLY);
      const descriptors = [kvm.number, kernel.number];
      await using machine = await launch(
        { ...described(`fd:${kernel.number}`), machine: { kvm: `fd:${kvm.number}` } },
        {
          descriptors,
          user: NOBODY,
          group: NOBODY,
          cwd: "/",
          env: { HOME: "/nowhere", DENO_DIR: `/tmp/vireo-nobody-${Deno.pid}` },
          program: [`${folder}/deno`, "run", "-A", "--no-check", "--no-config", main],
        },
      );
      const status = await Deno.readTextFile(`/proc/${machine.pid}/status`);
      assertMatch(status, /^Uid:\t65534\t65534\t65534\t65534$/m);
      assertMatch(status, /^Gid:\t65534\t65534\t65534\t65534$/m);
      const input = machine.stdin.getWriter();
      await input.write(new TextEncoder().encode("nobody"));
      await input.write(new TextEncoder().encode("q"));
      input.releaseLock();
      assertEquals(await new Response(machine.stdout).text(), "nobody");
      await machine.ended;
      await Deno.remove(`/tmp/vireo-nobody-${Deno.pid}`, { recursive: true }).catch(() => {});
    }),
);

Deno.test(
  "launch() names a descriptor that was not handed on, or lets too little be done (row 2.14)",
  requirement("kvm"),
  () =>
    inFolder(async (folder) => {
      await Deno.writeFile(`${folder}/disk.img`, new Uint8Array(512));
      using disk = Fd.open(`${folder}/disk.img`, O_RDONLY);
      const path = `fd:${disk.number}`;
      const given = { ...described(`${folder}/off.img`), disk: [{ path }] };
      const refused = (options: LaunchOptions) =>
        assertRejects(() => launch(given, options), LaunchError);
      assertMatch(
        (await refused({})).stderr,
        /disk\[0\]\.path: .*not started with that descriptor/,
      );
      const descriptors = [disk.number];
      assertMatch((await refused({ descriptors })).stderr, /disk\[0\]\.path: .*EACCES.*readonly/);
    }),
);

Deno.test(
  "run --ready-fd names a descriptor that it was not started with",
  requirement("ffi"),
  async () => {
    const main = new URL("../../src/main.ts", import.meta.url).pathname;
    const args = ["run", "-A", "--no-check", main, "run", "--kernel", "x", "--ready-fd", "99"];
    const { code, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
    assertEquals(code, 2);
    assertMatch(new TextDecoder().decode(stderr), /--ready-fd: "99" is no descriptor above 2/);
  },
);

Deno.test(
  "LaunchedMachine.stop() kills what does not heed SIGTERM",
  requirement("ffi"),
  async () => {
    const script = 'trap "" TERM; for last; do :; done; echo ready > /proc/self/fd/$last; ' +
      "while :; do sleep 0.1; done";
    await using machine = await launch("--kernel x", { program: ["sh", "-c", script] });
    assertEquals((await machine.stop(200)).signal, "SIGKILL");
  },
);
