/**
 * The command `vireo doctor`: whether this host can run machines, and what to do where it cannot.
 *
 * @module
 */

import { errorText } from "../base/errors.ts";
import {
  describeOptions,
  HELP,
  type OptionTable,
  parseOptions,
  switchOption,
} from "../config/options.ts";
import { type CapabilityName, REQUIRED_CAPABILITIES } from "../kvm/capabilities.ts";
import { hostKvm } from "../kvm/host_kvm.ts";
import { Kvm } from "../kvm/kvm.ts";
import { examineSystem, type Finding } from "./doctor_system.ts";
import { EXIT, statusOfError } from "./exit_status.ts";
import { hasColor, print, printHelp, say } from "./say.ts";

/** What it can be told. */
export interface DoctorOptions {
  readonly json: boolean;
  readonly help: boolean;
}

/** Its options. */
export const DOCTOR_OPTIONS: OptionTable<DoctorOptions> = {
  json: switchOption("--json", "Prints the findings as JSON."),
  help: HELP,
};

/**
 * Runs the command.
 *
 * @param args what stands behind `doctor`
 * @returns the exit status: 3 where `run` would fail
 */
export function doctor(args: readonly string[]): Promise<number> {
  try {
    const { json, help } = parseOptions(DOCTOR_OPTIONS, args);
    if (help) return Promise.resolve(printHelp(doctorHelp()));
    const findings = examineHost();
    const status = statusOfFindings(findings);
    const ok = status === EXIT.ok;
    const text = () => findingsText(findings, hasColor(Deno.stdout));
    print(json ? `${JSON.stringify({ ok, findings }, null, 2)}\n` : text());
    return Promise.resolve(status);
  } catch (error) {
    say(`vireo: ${errorText(error)}`);
    return Promise.resolve(statusOfError(error));
  }
}

/** What a machine uses each capability for. */
const CAPABILITY_USES: Partial<Record<CapabilityName, string>> = {
  IRQCHIP: "interrupt controllers in the kernel",
  HLT: "halted vCPUs wait in the kernel",
  USER_MEMORY: "guest RAM",
  SET_TSS_ADDR: "real mode on Intel",
  EXT_CPUID: "the processor that the guest sees",
  MP_STATE: "start and pause of each vCPU",
  IRQ_ROUTING: "which interrupt goes where",
  IRQFD: "interrupts without a system call",
  PIT2: "the timer of kernels without ACPI",
  IOEVENTFD: "notifications that leave no vCPU",
  SET_IDENTITY_MAP_ADDR: "real mode on Intel",
  TSC_DEADLINE_TIMER: "the guest's timer",
  CHECK_EXTENSION_VM: "capabilities of one machine",
  IMMEDIATE_EXIT: "stopping a vCPU at any moment",
  READONLY_MEM: "memory that the guest cannot write",
  NR_MEMSLOTS: "pieces of RAM, at most so many",
  MAX_VCPUS: "vCPUs, at most so many",
  GET_TSC_KHZ: "the clock's frequency, so that the guest measures nothing",
  BINARY_STATS_FD: "statistics of vCPUs",
};

const NEWER_KERNEL = "use a Linux kernel of 4.20 or newer";

/** Looks at everything. */
export function examineHost(): readonly Finding[] {
  return [...examineKvm(), ...examineSystem()];
}

function examineKvm(): Finding[] {
  const device = { name: "/dev/kvm", needed: true, use: "every machine" };
  try {
    using kvm = Kvm.open();
    return [
      { ...device, ok: true, found: "opens" },
      examineVersion(kvm),
      examineKind(),
      ...examineCapabilities(kvm),
      examineWidth(kvm),
      examineCreation(kvm),
    ];
  } catch (error) {
    const [found = "", remedy] = splitRemedy(errorText(error));
    return [{ ...device, ok: false, found, remedy: remedy ?? "see the message" }];
  }
}

/** Messages of errors end with what to do. */
function splitRemedy(text: string): string[] {
  const at = text.lastIndexOf("; ");
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 2)];
}

function examineVersion(kvm: Kvm): Finding {
  const finding = { name: "KVM API", needed: true, use: "every machine" };
  try {
    kvm.requireCompatible();
    return { ...finding, ok: true, found: "version 12" };
  } catch (error) {
    return { ...finding, ok: false, found: errorText(error), remedy: NEWER_KERNEL };
  }
}

function examineKind(): Finding {
  const { kind, reason } = hostKvm();
  return {
    name: "virtualization",
    needed: true,
    ok: kind === "full",
    found: kind === "full" ? `hardware: ${reason}` : `${kind}: ${reason}`,
    use: "running Linux",
    ...(kind === "full" ? {} : {
      remedy: "turn nested virtualization on, or use a host with vmx or svm; `vireo boot` brings " +
        "a KVM of its own",
    }),
  };
}

function examineCapabilities(kvm: Kvm): Finding[] {
  const required = new Set<CapabilityName>(REQUIRED_CAPABILITIES);
  return (Object.entries(CAPABILITY_USES) as [CapabilityName, string][]).map(([name, use]) => {
    const value = kvm.check(name);
    const needed = required.has(name);
    return {
      name: `KVM_CAP_${name}`,
      needed,
      ok: value > 0,
      found: value > 0 ? `${value}` : "missing",
      use,
      ...(value > 0 ? {} : { remedy: NEWER_KERNEL }),
    };
  });
}

function examineWidth(kvm: Kvm): Finding {
  const bits = kvm.physicalAddressBits();
  const found = `${bits} bits of guest physical address`;
  return { name: "address width", needed: false, ok: true, found, use: "how much RAM fits" };
}

/** A machine with one vCPU, made and let go of: another hypervisor, or a limit of the container, shows here alone. */
function examineCreation(kvm: Kvm): Finding {
  const finding = { name: "a machine", needed: true, use: "every machine" };
  try {
    using vm = kvm.createVm();
    using _vcpu = vm.createVcpu(0);
    return { ...finding, ok: true, found: "can be made" };
  } catch (error) {
    const remedy = "stop other hypervisors, and see `dmesg | grep kvm`";
    return { ...finding, ok: false, found: errorText(error), remedy };
  }
}

/** 3 where something needed is not ok. */
export function statusOfFindings(findings: readonly Finding[]): number {
  return findings.some(({ ok, needed }) => needed && !ok) ? EXIT.kvm : EXIT.ok;
}

/** What stands before a finding, with and without colour. */
const MARKS = {
  ok: { plain: "ok  ", colored: "\x1b[32mok\x1b[0m  " },
  fail: { plain: "FAIL", colored: "\x1b[1;31mFAIL\x1b[0m" },
  absent: { plain: "    ", colored: "    " },
} as const;

/** A line for each finding, and one for the remedy where there is one. */
export function findingsText(findings: readonly Finding[], colored: boolean = false): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.map(({ name, ok, needed, found, use, remedy }) => {
    const mark = MARKS[ok ? "ok" : needed ? "fail" : "absent"][colored ? "colored" : "plain"];
    const why = `${needed ? "needed" : "optional"}: ${use}`;
    const line = `${mark}  ${name.padEnd(width)}  ${found} (${why})\n`;
    return remedy === undefined ? line : `${line}${" ".repeat(width + 8)}→ ${remedy}\n`;
  });
  const ok = statusOfFindings(findings) === EXIT.ok;
  return `${lines.join("")}${ok ? "Machines run here" : "`vireo run` fails here"}\n`;
}

/** The help of `vireo doctor`. */
export function doctorHelp(): string {
  return `Says whether this host can run machines, and what to do where it cannot.

Usage: vireo doctor [OPTION]...

${describeOptions(DOCTOR_OPTIONS)}
Exit status: 0 where \`vireo run\` can run Linux, 3 where it fails.
`;
}
