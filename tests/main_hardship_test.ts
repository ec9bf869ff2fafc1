/** The program where something is missing that it counts on: descriptors, rights, a disk's space, readers, a network. */

import { assertEquals, assertMatch } from "@std/assert";
import { defaultCacheFolder } from "../src/boot/cache_folder.ts";
import { LONG, writeGuests } from "./support/guest_kernel.ts";
import {
  compiledProgram,
  type Program,
  runProgram,
  SOURCE,
  WITHOUT_KVM_RIGHTS,
} from "./support/program.ts";
import { commandMissing, requirement, skipped } from "./support/require.ts";

const FIXTURES = await Deno.makeTempDir({ prefix: "vireo-hardship-" });
addEventListener("unload", () => Deno.removeSync(FIXTURES, { recursive: true }));
writeGuests(FIXTURES);
await Deno.chmod(FIXTURES, 0o755);

const EXECUTABLE = await compiledProgram();
const NEEDS_EXECUTABLE = skipped(EXECUTABLE.missing);
const [VIREO] = EXECUTABLE.command;
const RUN_SOURCE = SOURCE.command.map((word) => `'${word}'`).join(" ");

/** Gates that all have to be open. */
function all(...needs: readonly { readonly ignore: boolean }[]): { ignore: boolean } {
  return { ignore: needs.some(({ ignore }) => ignore) };
}

const KVM = all(requirement("kvm"), NEEDS_EXECUTABLE);
const NAMESPACES = all(requirement("namespaces"), NEEDS_EXECUTABLE);
const NAMESPACES_KVM = all(requirement("namespaces", "kvm"), NEEDS_EXECUTABLE);

/** A machine that says Hi on its serial port and powers off. */
const TINY = `run --kernel ${FIXTURES}/off.img --memory 32M --console none ` +
  "--set serial.backend=stdio --set log.level=error";

/** Runs a line of sh, its whole process group within a bound; `$vireo` is the executable. */
async function shell(line: string) {
  const bounded = ["timeout", "-s", "KILL", "100", "sh", "-c"] as const;
  return await runProgram([...bounded, `vireo='${VIREO}'; ${line}`], { cwd: FIXTURES });
}

Deno.test(
  "the executable alone in an empty folder, without network, home or variables, runs a guest",
  NAMESPACES_KVM,
  async () => {
    const { status, stdout, stderr } = await shell(
      `folder=$(mktemp -d) && cp "$vireo" $folder && cd $folder && ` +
        `env -i unshare -n ./vireo ${TINY}; status=$?; ls; rm -r $folder; exit $status`,
    );
    assertEquals([status, stdout, stderr], [0, "Hi\nvireo\n", ""]);
  },
);

Deno.test(
  "the executable opens no file of the project, of a cache or of a home",
  all(requirement("kvm", "strace"), NEEDS_EXECUTABLE),
  async () => {
    const { status, stderr } = await shell(
      `HOME=/nonexistent strace -f -e trace=open,openat,connect -o "$PWD/trace" "$vireo" ${TINY}`,
    );
    const trace = await Deno.readTextFile(`${FIXTURES}/trace`);
    const paths = [...trace.matchAll(/open(?:at)?\([^"]*"([^"]+)"[^)]*\) = \d/g)].map((m) => m[1]);
    const system = /^(\/(etc|lib|lib64|proc|sys|usr|dev)\/|\/tmp\/vireo-(executable|hardship)-)/;
    assertEquals([status, stderr], [0, ""]);
    assertEquals(paths.filter((path) => !system.test(path ?? "")), []);
    assertEquals(trace.match(/connect\(.*AF_INET.*/g), null);
  },
);

for (const memory of ["1020K", `${2 ** 30 + 4}K`, "1025K"]) {
  Deno.test(
    `run refuses ${memory} of RAM before KVM makes a machine (rows 0.3, 0.4, 0.5)`,
    all(requirement("strace"), NEEDS_EXECUTABLE),
    async () => {
      const { status, stderr } = await shell(
        `strace -f -e trace=openat,ioctl -o "$PWD/trace" "$vireo" run --kernel ./off.img --memory ${memory}`,
      );
      const trace = await Deno.readTextFile(`${FIXTURES}/trace`);
      assertEquals(status, 2);
      assertMatch(stderr, /^--memory: memory\.size: .*"1M" to "1T", a multiple of 4K/);
      assertEquals(/KVM_CREATE_VM|\/dev\/kvm/.test(trace), false);
    },
  );
}

Deno.test(
  "check and doctor --help touch no KVM, run does",
  all(requirement("kvm", "strace"), NEEDS_EXECUTABLE),
  async () => {
    const opens = async (args: string) => {
      await shell(`strace -f -e trace=open,openat -o "$PWD/trace" "$vireo" ${args}`);
      return (await Deno.readTextFile(`${FIXTURES}/trace`)).includes("/dev/kvm");
    };
    assertEquals(await opens("check --kernel off.img --json"), false);
    assertEquals(await opens("doctor --help"), false);
    assertEquals(await opens(TINY), true);
  },
);

Deno.test("an empty environment changes nothing", KVM, async () => {
  const compiled = await shell(`env -i "$vireo" ${TINY}`);
  assertEquals(compiled, { status: 0, stdout: "Hi\n", stderr: "" });
});

Deno.test("ulimit -n 20: the executable says how many descriptors it needs", KVM, async () => {
  const { status, stderr } = await shell(`ulimit -n 20; "$vireo" ${TINY}`);
  assertEquals(status, 2);
  assertMatch(stderr, /^vireo: Cannot build this machine with 20 descriptors.*ulimit -n \d+\n$/);
});

Deno.test("ulimit -n 40: deno run says how many descriptors it needs", KVM, async () => {
  const { status, stderr } = await shell(`ulimit -n 40; ${RUN_SOURCE} ${TINY}`);
  assertEquals(status, 2);
  assertMatch(stderr, /^vireo: Cannot build this machine with 40 descriptors.*ulimit -n \d+\n$/);
});

Deno.test("the limit that the message names is enough", KVM, async () => {
  const { status, stdout } = await shell(
    `limit=$( (ulimit -n 20; "$vireo" ${TINY}) 2>&1 | grep -o '[0-9]*$'); ulimit -n $limit; "$vireo" ${TINY}`,
  );
  assertEquals([status, stdout], [0, "Hi\n"]);
});

Deno.test("a low soft limit of descriptors is raised", KVM, async () => {
  const { status, stdout } = await shell(`ulimit -Sn 20; "$vireo" ${TINY}`);
  assertEquals([status, stdout], [0, "Hi\n"]);
});

const NOBODY = "setpriv --reuid 65534 --regid 65534 --clear-groups";

/** Runs the executable as a user without rights. */
async function asNobody(args: string, variables = "") {
  return await shell(
    `chmod 755 "$(dirname "$vireo")" "$vireo"; exec ${NOBODY} env ${variables} "$vireo" ${args}`,
  );
}

Deno.test(
  "without rights on /dev/kvm run ends with 3 and says how to get them (row 0.7)",
  NAMESPACES_KVM,
  async () => {
    const { status, stderr } = await asNobody(TINY);
    assertEquals(status, 3);
    assertMatch(stderr, /^vireo: KVM is not available: .*EACCES .*usermod -aG kvm/);
  },
);

for (const program of [SOURCE, EXECUTABLE]) {
  Deno.test(
    `${program.name}: boot --rig=never on a /dev/kvm of mode 000 ends with 3 and says how to get rights (row 0.7)`,
    program === SOURCE ? requirement("namespaces", "kvm") : NAMESPACES_KVM,
    async () => {
      const boot = [...WITHOUT_KVM_RIGHTS, ...program.command, "boot", "--rig=never"] as const;
      const plain = await runProgram(boot);
      assertEquals([plain.status, plain.stdout], [3, ""]);
      assertMatch(
        plain.stderr,
        /^vireo: Cannot boot .*\/dev\/kvm .*EACCES .*usermod -aG kvm .*; or leave --rig=never out\n$/,
      );
      const withCommand = await runProgram([...boot, "--exec", "true"]);
      assertEquals(withCommand, { ...plain, status: 125 });
    },
  );
}

Deno.test(
  "a user without rights on /dev/kvm is told so by boot --rig=never (row 0.7)",
  NAMESPACES_KVM,
  async () => {
    const { status, stderr } = await asNobody("boot --rig=never");
    assertEquals(status, 3);
    assertMatch(stderr, /^vireo: Cannot boot .*\/dev\/kvm .*EACCES .*usermod -aG kvm/);
  },
);

Deno.test(
  "a user without rights on /dev/kvm is told by boot that the rig is taken, and what that lacks (row 0.7)",
  NAMESPACES_KVM,
  async () => {
    const files = "--kernel ./off.img --initrd ./off.img";
    const { status, stderr } = await asNobody(`boot ${files}`, "PATH=/nowhere");
    assertEquals(status, 3);
    assertMatch(
      stderr,
      /^vireo: booting in the rig, .* since \/dev\/kvm does not open: EACCES .*\nvireo: Cannot start the rig: .*; run: sudo apt-get install .*qemu-system-x86/,
    );
  },
);

Deno.test(
  "without rights on /dev/kvm doctor ends with 3 and the same remedy",
  NAMESPACES_KVM,
  async () => {
    const { status, stdout } = await asNobody("doctor");
    assertEquals(status, 3);
    assertMatch(stdout, /^FAIL {2}\/dev\/kvm .*EACCES .*\n +→ .*usermod -aG kvm/);
  },
);

Deno.test(
  "without a /dev/kvm run ends with 3 and says what to load (row 0.7)",
  NAMESPACES,
  async () => {
    const { status, stderr } = await shell(
      `unshare -m sh -c 'mount -t tmpfs tmpfs /dev/ && exec "$0" ${TINY}' "$vireo"`,
    );
    assertEquals(status, 3);
    assertMatch(stderr, /^vireo: KVM is not available: .*ENOENT .*modprobe/);
  },
);

/** Runs a form of the program with its streams elsewhere, within a bound. */
async function redirected({ command }: Program, args: string, streams: string) {
  const bounded = ["timeout", "-s", "KILL", "100", "sh", "-c", `"$@" ${streams}`, "sh"] as const;
  return await runProgram([...bounded, ...command, ...args.split(" ")], { cwd: FIXTURES });
}

const CHECK = "check --kernel ./off.img";
const PRINTING = [
  ...["--help", "--version", "check --schema", "doctor --json", "completion bash"],
  CHECK,
  `${CHECK} --json`,
];
/** Calls, and their status where they cannot say anything. */
const MUTE = [
  { args: "--help", status: 0 },
  { args: CHECK, status: 0 },
  { args: "check --kernel ./nothing", status: 2 },
  { args: "run --kernel ./nothing", status: 2 },
  { args: "boot --cpus 0", status: 2 },
  { args: "boot --cpus 0 --exec true", status: 125 },
] as const;

for (const program of [SOURCE, EXECUTABLE]) {
  const needs = program === SOURCE ? requirement("ffi") : NEEDS_EXECUTABLE;
  for (const args of PRINTING) {
    Deno.test(
      `${program.name}: vireo ${args} on a full disk says so and ends with 2`,
      needs,
      async () => {
        const { status, stderr } = await redirected(program, args, ">/dev/full");
        assertEquals(status, 2);
        assertMatch(
          stderr,
          /^vireo: Cannot write to stdout: No space left .*see that its disk has room/,
        );
      },
    );
  }
  for (const { args, status } of MUTE) {
    Deno.test(
      `${program.name}: vireo ${args} with closed streams ends with ${status}`,
      needs,
      async () => {
        const mute = await redirected(program, args, "<&- >&- 2>&-");
        assertEquals(mute, { status, stdout: "", stderr: "" });
        assertEquals((await redirected(program, args, ">&-")).status, status);
        assertEquals((await redirected(program, args, "2>&-")).status, status);
      },
    );
  }
}

Deno.test(
  "vireo into a pipe that nobody reads says so and ends with 2",
  NEEDS_EXECUTABLE,
  async () => {
    const { stderr } = await shell(`{ "$vireo" check --schema; echo "status $?" >&2; } | :`);
    assertMatch(
      stderr,
      /^vireo: Cannot write to stdout: Broken pipe .*its reader reads on\nstatus 2\n$/,
    );
  },
);

Deno.test(
  "closed streams are like /dev/null: no descriptor of a machine takes their place",
  KVM,
  async () => {
    const { status, stdout, stderr } = await shell(`"$vireo" ${TINY} <&- >&-`);
    assertEquals([status, stdout, stderr], [0, "", ""]);
  },
);

Deno.test("a guest whose output nobody takes any more runs on, and that is said", KVM, async () => {
  const { status, stderr } = await shell(`"$vireo" ${TINY} --set log.level=warn >/dev/full`);
  assertEquals(status, 0);
  assertMatch(stderr, /serial0: Cannot write serial output any more: ENOSPC/);
});

Deno.test(
  "a reader that comes late gets all that the guest has written before its end",
  KVM,
  async () => {
    const run =
      `"$vireo" run --kernel long.img --memory 32M --console none --set serial.backend=stdio`;
    const { stdout } = await shell(`${run} 2>/dev/null | { sleep 10; wc -c; }`);
    assertEquals(stdout.trim(), `${LONG}`);
  },
);

/** Runs the executable where $disk is a file system without any space left. */
async function onFullDisk(args: string) {
  const fill = "head -c 65536 /dev/zero >/mnt/fill 2>/dev/null; true";
  return await shell(
    `unshare -m sh -c 'mount -t tmpfs -o size=64k tmpfs /mnt && { ${fill}; } && exec "$0" ${args}' "$vireo"`,
  );
}

for (const program of [SOURCE, EXECUTABLE]) {
  Deno.test(
    `${program.name}: boot with a cache on a full disk says so, and what to do`,
    all(
      program === SOURCE ? requirement("namespaces") : NAMESPACES,
      skipped(commandMissing("apt-cache")),
    ),
    async () => {
      const cache = defaultCacheFolder();
      const mount = 'mkdir -p "$0" && mount -t tmpfs -o size=64k tmpfs "$0" && ' +
        '{ head -c 65536 /dev/zero >"$0/fill" 2>/dev/null; true; } && exec "$@"';
      const boot = [...program.command, "boot", "--rig=always"];
      const ended = await runProgram(["unshare", "-m", "sh", "-c", mount, cache, ...boot]);
      assertEquals(ended.status, 2);
      assertMatch(
        ended.stderr,
        /vireo: Cannot .*\/vireo\/packages.*(its disk has 0 MiB left|the disk is full).*; free some space, or choose another cache folder with XDG_CACHE_HOME/,
      );
    },
  );
}

Deno.test(
  "RAM in a file on a full disk is refused with the space it needs",
  NAMESPACES_KVM,
  async () => {
    const { status, stderr } = await onFullDisk(`${TINY} --set memory.path=/mnt/ram`);
    assertEquals(status, 2);
    assertMatch(stderr, /memory\.path: Cannot keep RAM in .*0 MiB left.*32 MiB; free some/);
  },
);

Deno.test(
  "a log on a full disk is said on stderr, and the guest runs on",
  NAMESPACES_KVM,
  async () => {
    const log = "--set log.file=/mnt/log --set log.level=info";
    const { status, stdout, stderr } = await onFullDisk(`${TINY} ${log}`);
    assertEquals([status, stdout], [0, "Hi\n"]);
    assertMatch(stderr, /Cannot write to log\.file: .*ENOSPC/);
  },
);

Deno.test(
  "a console's file on a full disk is said, and the guest runs on",
  NAMESPACES_KVM,
  async () => {
    const serial = "--set serial.backend=file --set serial.path=/mnt/serial --set log.level=warn";
    const { status, stderr } = await onFullDisk(`${TINY} ${serial}`);
    assertEquals(status, 0);
    assertMatch(stderr, /serial0: Cannot write serial output any more: ENOSPC/);
  },
);
