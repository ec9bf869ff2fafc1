import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { bzImagePayload, extractVmlinux } from "../../src/boot/vmlinux.ts";
import { type RunCommand, runCommand } from "../../src/boot/run_command.ts";
import { VireoError } from "../../src/base/errors.ts";
import { requirement } from "../support/require.ts";

const ELF = Uint8Array.from(
  { length: 5000 },
  (_, index) => [0x7f, 0x45, 0x4c, 0x46][index] ?? index % 251,
);
const SIZE_FIELD = [ELF.length & 0xff, ELF.length >> 8, 0, 0];
const TOOLS = [
  { need: "gzip", pack: ["-c"], sizeField: [] },
  { need: "xz", pack: ["-c"], sizeField: SIZE_FIELD },
  { need: "xz", pack: ["-c", "--format=lzma"], sizeField: SIZE_FIELD },
  { need: "bzip2", pack: ["-c"], sizeField: SIZE_FIELD },
  { need: "lzop", pack: ["-c"], sizeField: SIZE_FIELD },
  { need: "zstd", pack: ["-cq"], sizeField: SIZE_FIELD },
  { need: "lz4", pack: ["-clq"], sizeField: SIZE_FIELD },
] as const;

/** A bzImage of two setup sectors whose payload lies 0x20 bytes into the protected-mode part. */
function bzImage(payload: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const start = 3 * 512 + 0x20;
  const image = new Uint8Array(start + payload.length);
  const header = new DataView(image.buffer);
  header.setUint8(0x1f1, 2);
  header.setUint16(0x1fe, 0xaa55, true);
  header.setUint32(0x202, 0x53726448, true);
  header.setUint16(0x206, 0x020f, true);
  header.setUint32(0x248, 0x20, true);
  header.setUint32(0x24c, payload.length, true);
  image.set(payload, start);
  return image;
}

for (const { need, pack, sizeField } of TOOLS) {
  const name = `extractVmlinux() unpacks what \`${need} ${pack.join(" ")}\` packed`;
  Deno.test(name, requirement(need), async () => {
    const packed = await runCommand(need, pack, { input: ELF });
    const image = bzImage([...packed.stdout, ...sizeField]);
    assertEquals(await extractVmlinux(image, "vmlinuz"), ELF);
  });
}

Deno.test("extractVmlinux() takes an ELF file that is not packed as it is", async () => {
  assertEquals(await extractVmlinux(bzImage(ELF), "vmlinuz"), ELF);
});

Deno.test("extractVmlinux() names the package of a decompressor that is missing", async () => {
  const path = Deno.env.get("PATH") ?? "";
  Deno.env.set("PATH", "/nonexistent");
  try {
    await assertRejects(
      () => extractVmlinux(bzImage([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 0]), "vmlinuz"),
      VireoError,
      "Cannot run xz: no such program on this system; install it: apt-get install xz-utils",
    );
  } finally {
    Deno.env.set("PATH", path);
  }
});

Deno.test("extractVmlinux() refuses a payload that unpacks to less than its size field says", async () => {
  const run: RunCommand = () =>
    Promise.resolve({ status: 1, stdout: ELF.slice(0, 4999), stderr: "unexpected end" });
  const error = await assertRejects(
    () => extractVmlinux(bzImage([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, ...SIZE_FIELD]), "k", run),
    VireoError,
  );
  assertEquals(
    error.message,
    'Cannot take vmlinux out of "k": xz gave 4999 of 5000 bytes and said: unexpected end',
  );
});

Deno.test("bzImagePayload() refuses images that are damaged", () => {
  const image = bzImage(ELF);
  assertThrows(() => bzImagePayload(image.slice(0, 0x24f), "k"), VireoError, "shorter");
  assertThrows(() => bzImagePayload(image.slice(0, -1), "k"), VireoError, "past its end");
  const other = image.slice();
  other[0x202] = 0;
  assertThrows(() => bzImagePayload(other, "k"), VireoError, "no bzImage");
  const old = image.slice();
  old[0x206] = 7;
  assertThrows(() => bzImagePayload(old, "k"), VireoError, "older than 2.08");
});
