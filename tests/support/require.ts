/**
 * Gates of tests that need something of the machine they run on.
 *
 * A test that can't run is ignored, and the reason is printed with the place that asked, in a form
 * that the runner reads back ({@linkcode parseSkip}) to name each skip with its reason.
 *
 * @module
 */
import { O_DIRECT, O_RDWR } from "../../src/abi/linux.ts";
import { Fd } from "../../src/host/fd.ts";
import { ioUringAvailable } from "../../src/storage/uring_file.ts";
import { hostKvm } from "../../src/kvm/host_kvm.ts";
import { cachedKernel, type DebianKernel } from "./linux_kernels.ts";
import { say } from "./progress.ts";

/** A test's options: `Deno.test("name", requirement("kvm"), () => {…})`. */
export interface Requirement {
  /** Whether something is missing. */
  readonly ignore: boolean;
}

/** A reason why tests at a place are ignored. */
export interface Skip {
  /** Path below the project, `tests/kvm/vcpu_test.ts`. */
  readonly file: string;
  readonly line: number;
  readonly reason: string;
}

interface NeedRow {
  /** Why it is missing here, or `undefined` where it is there. */
  readonly missing: () => string | undefined;
  /** The Debian packages that bring it. */
  readonly packages: readonly string[];
}

/** What tests can ask for. */
export const NEEDS = {
  ffi: { missing: permissionsMissing, packages: [] },
  kvm: { missing: kvmMissing, packages: [] },
  "full-kvm": { missing: fullKvmMissing, packages: [] },
  io_uring: { missing: ioUringMissing, packages: [] },
  direct_io: { missing: directIoMissing, packages: [] },
  root: { missing: () => Deno.uid() === 0 ? undefined : "not run as root", packages: [] },
  namespaces: { missing: namespacesMissing, packages: [] },
  npx: { missing: () => commandMissing("npx"), packages: [] },
  git: { missing: gitMissing, packages: ["git"] },
  gcc: { missing: compilerMissing, packages: ["gcc", "libc6-dev", "linux-libc-dev"] },
  "6.1 cloud": { missing: () => kernelMissing("6.1 cloud"), packages: [] },
  "6.1 generic": { missing: () => kernelMissing("6.1 generic"), packages: [] },
  "6.12 cloud": { missing: () => kernelMissing("6.12 cloud"), packages: [] },
  qemu: { missing: () => commandMissing("qemu-system-x86_64"), packages: ["qemu-system-x86"] },
  tmux: { missing: () => commandMissing("tmux"), packages: ["tmux"] },
  iasl: { missing: () => commandMissing("iasl"), packages: ["acpica-tools"] },
  bzip2: { missing: () => commandMissing("bzip2"), packages: ["bzip2"] },
  lzop: { missing: () => commandMissing("lzop"), packages: ["lzop"] },
  gzip: { missing: () => commandMissing("gzip"), packages: ["gzip"] },
  lz4: { missing: () => commandMissing("lz4"), packages: ["lz4"] },
  xz: { missing: () => commandMissing("xz"), packages: ["xz-utils"] },
  zstd: { missing: () => commandMissing("zstd"), packages: ["zstd"] },
  script: { missing: () => commandMissing("script"), packages: ["bsdutils"] },
  strace: { missing: () => commandMissing("strace"), packages: ["strace"] },
  bash: { missing: () => commandMissing("bash"), packages: ["bash"] },
  zsh: { missing: () => commandMissing("zsh"), packages: ["zsh"] },
  fish: { missing: () => commandMissing("fish"), packages: ["fish"] },
} as const satisfies Record<string, NeedRow>;

/** The name of something a test can ask for. */
export type Need = keyof typeof NEEDS;

const ROOT = new URL("../../", import.meta.url);
const MARK = "Skips";

/** Asks for all of `needs`; the first one that is missing is printed and makes the test ignored. */
export function requirement(...needs: readonly Need[]): Requirement {
  return skipped(firstMissing(needs));
}

/** The same for a reason found otherwise; undefined where nothing is missing. */
export function skipped(reason: string | undefined): Requirement {
  if (reason === undefined) return { ignore: false };
  const place = callerOf(new Error().stack ?? "");
  say(formatSkip({ ...place, reason }));
  return { ignore: true };
}

/** The line that says a skip. */
export function formatSkip(skip: Skip): string {
  return `${MARK} ${skip.file}:${skip.line}: ${skip.reason}`;
}

/** Reads a line of {@linkcode formatSkip} back; `undefined` for any other line. */
export function parseSkip(text: string): Skip | undefined {
  const match = text.match(/^Skips (\S+):(\d+): (.+)$/);
  if (match === null) return undefined;
  const [, file = "", line = "", reason = ""] = match;
  return { file, line: Number(line), reason };
}

/** Why a program can't be run, or `undefined` where the search path has it. */
export function commandMissing(name: string): string | undefined {
  const folders = (Deno.env.get("PATH") ?? "").split(":");
  return folders.some((folder) => isFile(`${folder}/${name}`))
    ? undefined
    : `${name} not installed`;
}

function firstMissing(needs: readonly Need[]): string | undefined {
  for (const need of ["ffi", ...needs] as const) {
    const reason = NEEDS[need].missing();
    if (reason !== undefined) return reason;
  }
  return undefined;
}

function callerOf(stack: string): { readonly file: string; readonly line: number } {
  for (const match of stack.matchAll(/(file:\/\/\S+?):(\d+):\d+/g)) {
    const [, url = "", line = "0"] = match;
    if (url !== import.meta.url) return { file: url.replace(ROOT.href, ""), line: Number(line) };
  }
  return { file: "?", line: 0 };
}

function permissionsMissing(): string | undefined {
  const names = ["ffi", "read", "env", "run", "write", "sys"] as const;
  const absent = names.find((name) => Deno.permissions.querySync({ name }).state !== "granted");
  return absent && `no ${absent} permission: run \`deno test -A\` or \`deno task test\``;
}

function kvmMissing(): string | undefined {
  const kvm = hostKvm();
  return kvm.kind === "none" ? kvm.reason : undefined;
}

function fullKvmMissing(): string | undefined {
  const kvm = hostKvm();
  return kvm.kind === "full" ? undefined : `no KVM that can run Linux: ${kvm.reason}`;
}

function ioUringMissing(): string | undefined {
  return ioUringAvailable() ? undefined : "this host has no io_uring";
}

function directIoMissing(): string | undefined {
  const path = Deno.makeTempFileSync({ prefix: "vireo-direct-" });
  try {
    // bits: flags of open
    using _file = Fd.open(path, O_RDWR | O_DIRECT);
    return undefined;
  } catch {
    return "the folder of temporary files has no direct I/O";
  } finally {
    Deno.removeSync(path);
  }
}

/** Containers may forbid what root can do elsewhere, and a bare chroot has no root to mount below. */
function namespacesMissing(): string | undefined {
  const absent = NEEDS.root.missing() ?? commandMissing("unshare");
  if (absent !== undefined) return absent;
  const args = ["-m", "-n", "true"];
  const { success, stderr } = new Deno.Command("unshare", { args, stdout: "null" }).outputSync();
  return success ? undefined : `no namespaces here: ${new TextDecoder().decode(stderr).trim()}`;
}

function gitMissing(): string | undefined {
  return commandMissing("git") ??
    (isThere(new URL(".git", ROOT)) ? undefined : "not a git clone: no .git here");
}

function compilerMissing(): string | undefined {
  return commandMissing("gcc") ??
    ["/usr/include/stdio.h", "/usr/include/linux/kvm.h"].map(fileMissing).find(Boolean);
}

function fileMissing(path: string): string | undefined {
  return isFile(path) ? undefined : `${path} not installed`;
}

function kernelMissing(kernel: DebianKernel): string | undefined {
  return cachedKernel(kernel) === undefined
    ? `Debian's ${kernel} kernel could not be fetched into the cache`
    : undefined;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function isThere(path: URL): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
