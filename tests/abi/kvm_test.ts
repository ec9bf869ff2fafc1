import { assertEquals } from "@std/assert";
import * as kvm from "../../src/abi/kvm.ts";
import * as linux from "../../src/abi/linux.ts";
import { CAPABILITIES } from "../../src/kvm/capabilities.ts";
import { compilerOffsets, compilerValues, ourOffsets } from "../support/c_layout.ts";
import { requirement } from "../support/require.ts";
import { HEADERS, KVM_PAIRS, LINUX_PAIRS } from "./kvm_layouts.ts";
import golden from "../golden/abi/kvm_linux.json" with { type: "json" };

const PAIRS = [...KVM_PAIRS, ...LINUX_PAIRS];

/** Where constants are that the layouts' headers don't bring. */
const CONSTANT_HEADERS = [
  ...HEADERS,
  "linux/falloc.h",
  "linux/fs.h",
  "linux/random.h",
  "linux/memfd.h",
  "linux/prctl.h",
  "asm/unistd_64.h",
  "linux/fcntl.h",
  "linux/mman.h",
  "errno.h",
  "sys/stat.h",
  "signal.h",
  "sys/socket.h",
  "sys/eventfd.h",
];

/** Ours that C spells in another way or not at all. */
const SPELLINGS: Readonly<Record<string, string>> = {
  SYS_IO_URING_SETUP: "__NR_io_uring_setup",
  SYS_IO_URING_ENTER: "__NR_io_uring_enter",
};

/** Numeric constants of a module by C's spelling. */
function constants(module: Readonly<Record<string, unknown>>): Record<string, number> {
  const numbers = Object.entries(module).filter((entry): entry is [string, number] =>
    typeof entry[1] === "number"
  );
  return Object.fromEntries(numbers.map(([name, value]) => [SPELLINGS[name] ?? name, value]));
}

/** Those of `ours` that the compiler knows as well. */
function known(ours: Record<string, number>, theirs: Readonly<Record<string, number>>) {
  return Object.fromEntries(Object.entries(ours).filter(([name]) => name in theirs));
}

Deno.test("abi/kvm and abi/linux layouts agree with their golden file", () => {
  assertEquals(Object.fromEntries(PAIRS.map((pair) => [pair.c, ourOffsets(pair)])), golden);
});

Deno.test("abi/kvm and abi/linux layouts agree with the C compiler", requirement("gcc"), () => {
  assertEquals(PAIRS.map(ourOffsets), compilerOffsets(HEADERS, PAIRS));
});

Deno.test("KvmIoctl has the numbers of linux/kvm.h", requirement("gcc"), () => {
  const names = Object.keys(kvm.KvmIoctl);
  assertEquals({ ...kvm.KvmIoctl }, compilerValues(["linux/kvm.h"], names));
});

Deno.test("abi/kvm constants have the values of linux/kvm.h", requirement("gcc"), () => {
  const ours = constants(kvm);
  assertEquals(ours, compilerValues(["linux/kvm.h"], Object.keys(ours)));
});

Deno.test("abi/linux constants have the values of Linux' headers", requirement("gcc"), () => {
  const ours = constants(linux);
  const isEnumerator = (name: string) => /^IORING_OP_/.test(name);
  const names = Object.keys(ours);
  const [enumerators, macros] = [names.filter(isEnumerator), names.filter((n) => !isEnumerator(n))];
  const theirs = compilerValues(CONSTANT_HEADERS, macros, enumerators);
  const unknown = Object.keys(ours).filter((name) => !(name in theirs));
  assertEquals(known(ours, theirs), theirs);
  assertEquals(unknown.sort(), [
    "EPOLL_EVENT_SIZE",
    "IOVEC_SIZE",
    "KERNEL_SIGSET_SIZE",
    "PAGE_SIZE",
    "SIGSET_SIZE",
  ]);
});

Deno.test("CAPABILITIES has the numbers of linux/kvm.h", requirement("gcc"), () => {
  const ours = Object.fromEntries(
    Object.entries(CAPABILITIES).map(([name, value]) => [`KVM_CAP_${name}`, value]),
  );
  assertEquals(ours, compilerValues(["linux/kvm.h"], Object.keys(ours)));
});
