import { assertEquals, assertGreater, assertInstanceOf, assertThrows } from "@std/assert";
import { EACCES, EBUSY, EINTR, EINVAL, ENODEV, ENOENT, EPERM } from "../../src/abi/linux.ts";
import { SystemError, VireoError } from "../../src/base/errors.ts";
import { REQUIRED_CAPABILITIES } from "../../src/kvm/capabilities.ts";
import { hostTscKhz } from "../../src/kvm/host_tsc.ts";
import { Kvm } from "../../src/kvm/kvm.ts";
import { FakeKvm, type FakeKvmOptions } from "../support/fake_kvm.ts";
import { libcRequirement } from "../support/libc.ts";

const needs = libcRequirement();
const real = libcRequirement("kvm");

/** A Kvm over a fake kernel. */
function fakeKvm(options: FakeKvmOptions = {}): Kvm {
  return Kvm.open({ driver: new FakeKvm(options) });
}

/** How opening fails with an errno. */
function openError(errno: number): VireoError {
  return assertThrows(() => fakeKvm({ faults: [{ name: "open", errno }] }), VireoError);
}

Deno.test("Kvm.open() has one kind and a hint of its own for each errno (row 0.7)", () => {
  const errors = [ENOENT, EACCES, EPERM, ENODEV, EBUSY].map(openError);
  assertEquals(errors.map(({ kind }) => kind), ["open", "open", "open", "open", "open"]);
  const codes = errors.map(({ cause }) => cause instanceof SystemError && cause.code);
  assertEquals(codes, ["ENOENT", "EACCES", "EPERM", "ENODEV", "EBUSY"]);
  const hints = errors.map(({ message }) => message.split("; ")[1]);
  assertEquals(new Set(hints).size, 5);
});

Deno.test("Kvm.open() tells how to get each hint's cure (row 0.7)", () => {
  const cures = [
    [ENOENT, /modprobe kvm_amd/],
    [EACCES, /usermod -aG kvm/],
    [ENODEV, /firmware/],
    [EBUSY, /VirtualBox/],
  ] as const;
  for (const [errno, cure] of cures) assertEquals(cure.test(openError(errno).message), true);
});

Deno.test("Kvm.open() of a device that isn't there says ENOENT (row 0.7)", needs, () => {
  const error = assertThrows(() => Kvm.open({ path: "/dev/no-kvm" }), VireoError);
  assertInstanceOf(error.cause, SystemError);
  assertEquals([error.kind, error.cause.code], ["open", "ENOENT"]);
});

Deno.test(
  "Kvm.open() as a user without rights says EACCES, and how to get them (row 0.7)",
  libcRequirement("root"),
  async () => {
    const folder = await Deno.makeTempDir({ prefix: "vireo-test-" });
    await Deno.chmod(folder, 0o755);
    await Deno.writeTextFile(`${folder}/kvm`, "", { mode: 0o600 });
    const url = new URL("./unprivileged_worker.ts", import.meta.url);
    const worker = new Worker(url, { type: "module" });
    const answer = new Promise((resolve) => worker.onmessage = ({ data }) => resolve(data));
    worker.postMessage(`${folder}/kvm`);
    const { kind, code, message } = await answer as Record<string, string>;
    worker.terminate();
    await Deno.remove(folder, { recursive: true });
    assertEquals([kind, code], ["open", "EACCES"]);
    assertEquals(/open: EACCES .*; add your user to the device's group/.test(message ?? ""), true);
  },
);

Deno.test("Kvm.requireCompatible() refuses a device that is no KVM (row 0.7)", needs, () => {
  using kvm = Kvm.open({ path: "/dev/null" });
  const error = assertThrows(() => kvm.requireCompatible(), VireoError);
  assertEquals(error.kind, "compat");
  assertEquals(/ioctl\(KVM_GET_API_VERSION\): ENOTTY .*; use a Linux/.test(error.message), true);
});

Deno.test("Kvm.requireCompatible() names what is missing (row 0.8)", () => {
  using kvm = fakeKvm({ capabilities: { IRQFD: 0 } });
  const error = assertThrows(() => kvm.requireCompatible(), VireoError);
  assertEquals(error.kind, "compat");
  assertEquals(error.message.includes("lacks IRQFD;"), true);
});

Deno.test("Kvm.requireCompatible() names everything that is missing (row 0.8)", () => {
  const capabilities = Object.fromEntries(REQUIRED_CAPABILITIES.map((name) => [name, 0]));
  using kvm = fakeKvm({ capabilities: { ...capabilities, SYNC_REGS: 0 } });
  const error = assertThrows(() => kvm.requireCompatible(["SYNC_REGS"]), VireoError);
  const listed = /lacks ([A-Z0-9_, ]+);/.exec(error.message)?.[1]?.split(", ");
  assertEquals(listed, [...REQUIRED_CAPABILITIES, "SYNC_REGS"]);
});

Deno.test("Kvm.requireCompatible() wants API version 12 (row 0.8)", () => {
  using kvm = fakeKvm({ apiVersion: 11 });
  const error = assertThrows(() => kvm.requireCompatible(), VireoError, "version 11");
  assertEquals(error.kind, "compat");
});

Deno.test("Kvm.requireCompatible() accepts a complete KVM", () => {
  using kvm = fakeKvm();
  kvm.requireCompatible();
});

Deno.test("Kvm.vcpuMapSize() refuses an error and a size below kvm_run", () => {
  using failing = fakeKvm({ faults: [{ name: "KVM_GET_VCPU_MMAP_SIZE", errno: EINVAL }] });
  using small = fakeKvm({ vcpuMapSize: 64 });
  const errors = [failing, small].map((kvm) => assertThrows(() => kvm.vcpuMapSize(), VireoError));
  assertEquals(errors.map(({ kind }) => kind), ["vcpu_mmap_size", "vcpu_mmap_size"]);
});

Deno.test("Kvm lists grow until the kernel's fit", () => {
  using kvm = fakeKvm({ listLength: 500 });
  assertEquals(kvm.supportedCpuid().length, 500);
  assertEquals(kvm.msrIndexList().length, 500);
  assertEquals(kvm.msrIndexList()[499], 0x10 + 499);
});

Deno.test("Kvm.physicalAddressBits() is what CPUID 0x80000008 says (row 4.4)", () => {
  using kvm = fakeKvm();
  assertEquals(kvm.physicalAddressBits(), 0x28);
});

Deno.test("Kvm.check() throws for a name that KVM doesn't have (row 4.2)", () => {
  using kvm = fakeKvm();
  assertEquals(kvm.check("KVM_CAP_IRQFD"), 1);
  assertThrows(() => kvm.check("IRQFDS"), VireoError, 'Cannot check capability "IRQFDS"');
});

Deno.test("an ioctl that a signal interrupts is tried again", () => {
  using kvm = fakeKvm({ faults: [{ name: "KVM_CREATE_VM", errno: EINTR, call: 1 }] });
  using vm = kvm.createVm();
  assertGreater(vm.fd, 0);
});

Deno.test("a failed ioctl names itself and what was being done", () => {
  using kvm = fakeKvm({ faults: [{ name: "KVM_CREATE_VM", errno: EBUSY }] });
  assertThrows(
    () => kvm.createVm(),
    SystemError,
    "stop VirtualBox or VMware): ioctl(KVM_CREATE_VM): EBUSY (busy)",
  );
});

Deno.test("KVM descriptors close once, borrowed ones never", () => {
  const driver = new FakeKvm();
  const kvm = Kvm.open({ driver });
  const borrowed = new Kvm(driver, kvm.fd, false);
  borrowed[Symbol.dispose]();
  assertEquals(driver.openFds.size, 1);
  kvm[Symbol.dispose]();
  kvm[Symbol.dispose]();
  assertEquals(driver.openFds.size, 0);
  assertEquals(assertThrows(() => kvm.createVm(), VireoError).kind, "closed");
});

Deno.test("Kvm of this host is compatible and lists CPUID and MSRs", real, () => {
  using kvm = Kvm.open();
  kvm.requireCompatible();
  assertGreater(kvm.supportedCpuid().length, 10);
  assertGreater(kvm.msrIndexList().length, 10);
  assertGreater(kvm.physicalAddressBits(), 31);
  assertEquals(kvm.capabilities().get("USER_MEMORY"), 1);
});

Deno.test("hostTscKhz() is what a vCPU of this host has", real, () => {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  using vcpu = vm.createVcpu(0);
  assertEquals(hostTscKhz() ?? 0, vcpu.tscKhz());
});
