import { assertEquals } from "@std/assert";
import house from "./house_rules.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

interface Case {
  readonly file: string;
  readonly source: string;
}

function reported(one: Case): string[] {
  return Deno.lint.runPlugin(house, one.file, one.source).map((diagnostic) => diagnostic.id);
}

/** Registers a test that every `bad` snippet is reported by exactly this rule, and no `good` one is. */
function rule(name: string, bad: readonly Case[], good: readonly Case[]): void {
  const id = `house/${name}`;
  for (const one of bad) {
    Deno.test(`${id} reports ${JSON.stringify(one.source)} in ${one.file.replace(ROOT, "")}`, () => {
      assertEquals(reported(one), [id]);
    });
  }
  for (const one of good) {
    Deno.test(`${id} allows ${JSON.stringify(one.source)} in ${one.file.replace(ROOT, "")}`, () => {
      assertEquals(reported(one), []);
    });
  }
}

rule("ffi-in-host", [
  { file: "src/kvm/vm.ts", source: `Deno.dlopen("libc.so.6", {});` },
  { file: "src/virtio/blk.ts", source: `new Deno.UnsafePointerView(p).getUint8();` },
  { file: "src/memory/guest_memory.ts", source: `Deno["UnsafePointer"].create(1n);` },
  { file: "tests/kvm/vm_test.ts", source: `Deno.UnsafePointer.of(buffer);` },
], [
  { file: "src/host/libc.ts", source: `Deno.dlopen("libc.so.6", {});` },
  { file: "src/kvm/vm.ts", source: `Deno.readTextFileSync("/proc/cpuinfo");` },
]);

rule("no-private-keyword", [
  { file: "src/bus/bus.ts", source: `class Bus { private devices = []; }` },
  { file: "tests/support/driver.ts", source: `class Driver { private run(): void {} }` },
], [
  { file: "src/bus/bus.ts", source: `class Bus { #devices = []; protected a = 1; }` },
  { file: "src/bus/bus.ts", source: `class Bus { private constructor() {} }` },
]);

rule("no-bits-on-addresses", [
  { file: "src/memory/guest_memory.ts", source: `const end = address & PAGE_MASK;` },
  { file: "src/virtio/queue.ts", source: `const at = (base + i) >>> 0;` },
  { file: "src/boot/bzimage.ts", source: `address |= 4096;` },
  { file: "src/arch/x86_64/pages.ts", source: `const top = ~address;` },
  { file: `${ROOT}src/machine/builder.ts`, source: `const a = (address << 12) | flags;` },
  { file: "src/bus/bus.ts", source: `// bits:\nconst a = b ^ c;` },
  { file: "src/bus/bus.ts", source: `// bits-file:\nconst a = b ^ c;` },
  { file: "src/bus/bus.ts", source: `const s = "bits: no comment", a = b ^ c;` },
  {
    file: "src/vcpu/loop.ts",
    source:
      `// bits: a flags word\nfunction f(a) {\n  return a;\n}\nfunction g(a) {\n  return a & 1;\n}`,
  },
], [
  {
    file: "src/arch/x86_64/guest_state.ts",
    source: `// bits-file: control registers, no addresses\nconst pg = cr0 & 2;`,
  },
  { file: "src/kvm/exit.ts", source: `const flags = x86.CR0_PE | MSR_MTRRdefType | 0x10;` },
  { file: "src/virtio/queue.ts", source: `const next = (idx + 1) & 0xffff; // bits: a u16 index` },
  { file: "src/virtio/queue.ts", source: `// bits: a u16 index\nconst next = (idx + 1) & 0xffff;` },
  {
    file: "src/virtio/queue.ts",
    source:
      `/** Packs a word.\n * bits: flags, no address */\nfunction pack(a, b) {\n  return a | b << 4;\n}`,
  },
  { file: "src/memory/guest_memory.ts", source: `const low = value & 0xffffffffn;` },
  { file: "src/memory/guest_memory.ts", source: `const end = start + length;` },
  { file: "src/devices/uart16550.ts", source: `const dlab = lcr & 0x80;` },
  { file: "tests/memory/guest_memory_test.ts", source: `const low = value & 0xff;` },
  { file: "/home/src/machine/x/tests/bus_test.ts", source: `const low = value & 0xff;` },
]);

rule("console-in-cli", [
  { file: "src/machine/machine.ts", source: `console.error("lost");` },
  { file: "src/mod.ts", source: `console.log(1);` },
], [
  { file: "src/cli/boot.ts", source: `console.log("booted");` },
  { file: "src/main.ts", source: `console.error("usage");` },
  { file: "src/machine/machine.ts", source: `const console = a; console.state;` },
]);

rule("literal-worker", [
  { file: "src/machine/machine.ts", source: `new Worker(url, { type: "module" });` },
  {
    file: "src/machine/machine.ts",
    source: `new Worker(new URL(name, import.meta.url), { type: "module" });`,
  },
  {
    file: "src/machine/machine.ts",
    source: `new Worker(new URL("./vcpu.ts", import.meta.url), options);`,
  },
  { file: "src/machine/machine.ts", source: `new Worker(import.meta.resolve("./vcpu.ts"));` },
], [
  {
    file: "src/machine/machine.ts",
    source: `new Worker(new URL("../vcpu/vcpu_worker.ts", import.meta.url), { type: "module" });`,
  },
  {
    file: "src/machine/machine.ts",
    source: `new Worker(\n  new URL("./io_worker.ts", import.meta.url),\n  { type: "module" },\n);`,
  },
  {
    file: "src/machine/machine.ts",
    source:
      `new Worker(new URL("./w.ts", import.meta.url), { type: "module", name: \`vcpu\${i}\` });`,
  },
]);

rule("error-message", [
  { file: "src/host/fd.ts", source: `throw new Error("cannot open");` },
  { file: "src/host/fd.ts", source: `throw new VireoError("open", \`Cannot open \${path}.\`);` },
  { file: "src/config/load.ts", source: `throw new ConfigError("memory", "must be more.");` },
  { file: "src/host/fd.ts", source: `throw new SystemError("open", 2, "cannot open it");` },
], [
  { file: "src/host/fd.ts", source: `throw new Error("Cannot open it");` },
  { file: "src/host/fd.ts", source: `throw new SystemError("open", 2, \`\${what} failed\`);` },
  { file: "src/config/load.ts", source: `throw new ConfigError("memory", "must be more");` },
  { file: "src/host/fd.ts", source: `throw new Error("ioctl(KVM_RUN) gave 3");` },
  { file: "src/host/fd.ts", source: `throw new Error("Waits for more...");` },
]);

rule("checked-non-null", [
  { file: "src/bus/bus.ts", source: `const a = find(b)!;` },
  { file: "src/bus/bus.ts", source: `const a = b.c!;` },
], [
  { file: "src/bus/bus.ts", source: `const a = words[i]!;` },
]);

rule("no-default-export", [
  { file: "src/bus/bus.ts", source: `export default class Bus {}` },
], [
  { file: "src/bus/bus.ts", source: `export class Bus {}` },
]);
