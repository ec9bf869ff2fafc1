/** `vireo doctor`: what it says about this host, whatever it is. */

import { assert, assertEquals } from "@std/assert";
import {
  doctorHelp,
  examineHost,
  type Finding,
  findingsText,
  statusOfFindings,
} from "../../src/cli/doctor.ts";
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
