import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { VireoError } from "../../../../src/base/errors.ts";
import type { AcpiMachine } from "../../../../src/arch/x86_64/acpi/machine.ts";
import { acpiTables, dsdt, fadt, madt } from "../../../../src/arch/x86_64/acpi/tables.ts";
import type { Placement } from "../../../../src/arch/x86_64/placement.ts";
import { apicIds, flatTopology } from "../../../../src/arch/x86_64/topology.ts";
import { iasl } from "../../../support/iasl.ts";
import { requirement } from "../../../support/require.ts";

const GOLDEN = new URL("../../../golden/acpi/", import.meta.url);
const HEADER_SIZE = 36;

/** The machine that tests/golden/acpi describes. */
const MACHINE: AcpiMachine = {
  apicIds: [0, 1, 2],
  cpus: 3,
  com1: true,
  rtc: true,
  pvpanic: true,
  virtioMmio: [
    { address: 0xd0000000, size: 0x1000, gsi: 5 },
    { address: 0xd0001000, size: 0x1000, gsi: 23 },
  ],
};

function golden(name: string): string {
  return Deno.readTextFileSync(new URL(`${name}.hex`, GOLDEN));
}

function hex(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 32) text += `${bytes.slice(at, at + 32).toHex()}\n`;
  return text;
}

function signature(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes.subarray(0, 4));
}

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => total + byte, 0) % 256;
}

/** Follows RSDP and XSDT as a kernel does. */
function found(placements: readonly Placement[]): Map<string, Uint8Array> {
  const at = (address: number) => {
    const placement = placements.find((one) => one.address === address);
    assert(placement, `nothing at 0x${address.toString(16)}`);
    return placement.bytes;
  };
  const quad = (bytes: Uint8Array, offset: number) =>
    Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(offset, true));
  const xsdt = at(quad(at(0xe0000), 24));
  const tables = new Map([["XSDT", xsdt]]);
  for (let offset = HEADER_SIZE; offset < xsdt.length; offset += 8) {
    const table = at(quad(xsdt, offset));
    tables.set(signature(table), table);
  }
  tables.set("DSDT", at(quad(tables.get("FACP") as Uint8Array, 140)));
  return tables;
}

Deno.test("dsdt() is what iasl makes of the hand-written source", () => {
  assertEquals(hex(dsdt(MACHINE).subarray(HEADER_SIZE)), golden("dsdt"));
});

Deno.test("fadt() and madt() are what was reviewed", () => {
  assertEquals(hex(fadt(MACHINE, 0xe0040)), golden("fadt"));
  assertEquals(hex(madt(MACHINE)), golden("madt"));
});

Deno.test("acpiTables() can be found from the RSDP on", () => {
  const tables = found(acpiTables(MACHINE));
  assertEquals([...tables.keys()], ["XSDT", "FACP", "APIC", "DSDT"]);
});

Deno.test("acpiTables() sum up to 0 and tell their length", () => {
  for (const [name, bytes] of found(acpiTables(MACHINE))) {
    assertEquals(sum(bytes), 0, name);
    assertEquals(new DataView(bytes.buffer).getUint32(4, true), bytes.length, name);
  }
});

Deno.test("acpiTables() begin with an RSDP of both checksums", () => {
  const rsdp = acpiTables(MACHINE).find(({ address }) => address === 0xe0000)?.bytes;
  assert(rsdp);
  assertEquals(new TextDecoder().decode(rsdp.subarray(0, 8)), "RSD PTR ");
  assertEquals(rsdp[15], 2);
  assertEquals(sum(rsdp.subarray(0, 20)), 0);
  assertEquals(sum(rsdp), 0);
});

Deno.test("acpiTables() do not overlap and stay below the MP table", () => {
  const sorted = acpiTables({ ...MACHINE, apicIds: apicIds(flatTopology(1024)) })
    .toSorted((a, b) => a.address - b.address);
  const ends = sorted.map(({ address, bytes }) => address + bytes.length);
  sorted.slice(1).forEach(({ address }, i) => assert(address >= (ends[i] ?? Infinity)));
  assert((ends.at(-1) ?? Infinity) <= 0xf8000);
});

Deno.test("acpiTables() refuses more vCPUs than there is room for", () => {
  assertThrows(
    () => acpiTables({ ...MACHINE, apicIds: apicIds(flatTopology(4096)) }),
    VireoError,
    "Cannot describe 4096 vCPUs and 2 devices",
  );
});

Deno.test("madt() lists APIC ids from 255 up as x2APICs (row 3.17)", () => {
  const table = madt({ ...MACHINE, apicIds: [0, 254, 255, 256], cpus: 4 });
  assertEquals([...table.subarray(44)], [
    ...[0, 8, 0, 0, 1, 0, 0, 0],
    ...[0, 8, 1, 254, 1, 0, 0, 0],
    ...[9, 16, 0, 0, 255, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0],
    ...[9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0],
    ...[1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
  ]);
});

Deno.test("madt() lists processors that may come as online-capable, not enabled (row 2.4)", () => {
  const table = madt({ ...MACHINE, apicIds: [0, 1, 255], cpus: 1 });
  assertEquals([...table.subarray(44, 76)], [
    ...[0, 8, 0, 0, 1, 0, 0, 0],
    ...[0, 8, 1, 1, 2, 0, 0, 0],
    ...[9, 16, 0, 0, 255, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0],
  ]);
});

Deno.test("dsdt() says of a processor that may come that it is not there", () => {
  const cpu = (uid: number) => [...new TextEncoder().encode(`C00${uid}`)];
  const absent = (bytes: Uint8Array, uid: number) => {
    const text = bytes.toHex();
    const from = text.indexOf(Uint8Array.from(cpu(uid)).toHex());
    const end = text.indexOf(Uint8Array.from(cpu(uid + 1)).toHex(), from + 1);
    return text.slice(from, end).includes(new TextEncoder().encode("_STA").toHex());
  };
  const bytes = dsdt({ ...MACHINE, apicIds: [0, 1, 2], cpus: 1 });
  assertEquals([absent(bytes, 0), absent(bytes, 1)], [false, true]);
});

Deno.test("fadt() says that there is no clock where there is none", () => {
  const flags = (rtc: boolean) => {
    const view = new DataView(fadt({ ...MACHINE, rtc }, 0).buffer);
    return { century: view.getUint8(108), boot: view.getUint16(109, true) };
  };
  assertEquals(flags(true), { century: 0x32, boot: 0x04 });
  assertEquals(flags(false), { century: 0, boot: 0x24 });
});

Deno.test("dsdt() leaves out what the machine does not have", () => {
  const bare = { apicIds: [0], cpus: 1, com1: false, rtc: false, pvpanic: false, virtioMmio: [] };
  const text = new TextDecoder("latin1").decode(dsdt(bare));
  assertEquals(["COM1", "RTC_", "PEVT", "VR00"].filter((name) => text.includes(name)), []);
  assertEquals(["C000", "PWRB", "GED_", "_S5_"].filter((name) => !text.includes(name)), []);
});

Deno.test("iasl makes the golden DSDT of its source, without a remark", requirement("iasl"), () => {
  const source = Deno.readFileSync(new URL("dsdt.asl", GOLDEN));
  using run = iasl(["-p", "out", "dsdt.asl"], { "dsdt.asl": source });
  assertMatch(run.output, /\b0 Errors, 0 Warnings, 0 Remarks/);
  assertEquals(hex(run.read("out.aml").subarray(HEADER_SIZE)), golden("dsdt"));
});

Deno.test("iasl reads every table and makes the same of what it read", requirement("iasl"), () => {
  const large = { ...MACHINE, apicIds: apicIds(flatTopology(300)), cpus: 300 };
  for (const machine of [MACHINE, large]) {
    for (const [name, bytes] of found(acpiTables(machine))) {
      using read = iasl(["-d", "in.aml"], { "in.aml": bytes });
      assertEquals(
        read.output.match(/warning|error|invalid|incorrect/i),
        null,
        `${name}: ${read.output}`,
      );
      using written = iasl(["-oa", "-p", "out", "in.dsl"], { "in.dsl": read.read("in.dsl") });
      // Compiler name and version in the header are iasl's own, so the checksum differs too.
      assertEquals(written.read("out.aml").slice(HEADER_SIZE), bytes.slice(HEADER_SIZE), name);
    }
  }
});
