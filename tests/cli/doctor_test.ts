/** `vireo doctor`: what it says about this host, whatever it is. */

import { assert, assertEquals } from "@std/assert";
import { doctorHelp, examineHost, findingsText, statusOfFindings } from "../../src/cli/doctor.ts";
import { examineDevice, type Finding } from "../../src/cli/doctor_system.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { REQUIRED_CAPABILITIES } from "../../src/kvm/capabilities.ts";
import { hostKvm } from "../../src/kvm/host_kvm.ts";
import { requirement } from "../support/require.ts";

openAllGroups();

const GOOD: Finding = { name: "a", ok: true, needed: true, found: "there", use: "b" };

Deno.test("vireo doctor's status is 3 where something needed is missing, not where optional things are", () => {
  assertEquals(statusOfFindings([GOOD]), 0);
  assertEquals(statusOfFindings([GOOD, { ...GOOD, ok: false, needed: false }]), 0);
  assertEquals(statusOfFindings([GOOD, { ...GOOD, ok: false }]), 3);
});

Deno.test("vireo doctor agrees with the KVM of this host", requirement("ffi"), () => {
  const expected = hostKvm().kind === "full" ? 0 : 3;
  assertEquals(statusOfFindings(examineHost()), expected);
});

Deno.test("vireo doctor has a remedy for each problem", requirement("ffi"), () => {
  for (const { name, ok, remedy } of examineHost()) assertEquals(remedy === undefined, ok, name);
});

Deno.test(
  "vireo doctor names every capability that is needed, and its use",
  requirement("kvm"),
  () => {
    const needed = examineHost().filter((finding) => finding.needed).map(({ name }) => name);
    for (const name of REQUIRED_CAPABILITIES) assert(needed.includes(`KVM_CAP_${name}`), name);
  },
);

Deno.test("findingsText() shows the remedy below its problem", () => {
  const bad = { ...GOOD, ok: false, found: "missing", remedy: "load it" };
  assertEquals(
    findingsText([GOOD, bad]),
    "ok    a  there (needed: b)\nFAIL  a  missing (needed: b)\n         → load it\n" +
      "`vireo run` fails here\n",
  );
  assert(doctorHelp().includes("--json"));
});

Deno.test("findingsText() marks problems red where colours are wanted", () => {
  const bad = { ...GOOD, ok: false };
  assert(findingsText([bad], true).startsWith("\x1b[1;31mFAIL\x1b[0m  a"));
});

Deno.test(
  "vireo doctor looks at all that a machine can use of this host",
  requirement("kvm"),
  () => {
    const names = examineHost().map(({ name }) => name);
    const all = [
      "/dev/kvm",
      "KVM API",
      "virtualization",
      "KVM_CAP_IRQFD",
      "address width",
      "a machine",
    ];
    const system = ["io_uring", "huge pages", "/dev/net/tun", "/dev/vhost-net", "/dev/vhost-vsock"];
    for (const name of [...all, ...system, "user namespaces"]) assert(names.includes(name), name);
  },
);

Deno.test(
  "examineDevice() says which module brings a device, or how to get rights on it",
  requirement("ffi"),
  () => {
    const device = { module: "tun", use: "x" };
    const missing = examineDevice({ ...device, path: "/nonexistent/tun" });
    assertEquals([missing.ok, missing.remedy?.startsWith("modprobe tun")], [false, true]);
    assertEquals(examineDevice({ ...device, path: "/dev/null" }).ok, true);
  },
);
