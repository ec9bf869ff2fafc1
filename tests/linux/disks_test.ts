/** Disks: what Linux reads and writes is what lies in the host's files. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type GuestRun, linuxRequirement, once, runGuest, textOf } from "../support/linux_guest.ts";
import { Random } from "../support/random.ts";

const NEEDS = linuxRequirement();
const DISK_SIZE = 64 * 2 ** 20;
const READONLY_SIZE = 2 ** 20;
const QUARTER = DISK_SIZE / 4;
/** What is read of each quarter at once with the others. */
const PART_MIB = 4;
const SEED = 0x5eed;

/** What the guest writes where: aligned and past the page cache, at an odd place of odd length, and at the end. */
const BLOB_SIZE = 768 * 1024;
const DIRECT_AT = 5 * 2 ** 20;
const ODD_AT = 12_345_677;
const ODD_SIZE = 300_001;
const END_SIZE = 4096;
const DISCARD_AT = 40 * 2 ** 20;
const DISCARD_SIZE = 2 * 2 ** 20;

/** Each line's outcome goes to stdout, under a heading. */
const COMMAND = `
say() { echo "== $1"; }
cat > /tmp/blob
head -c ${ODD_SIZE} /tmp/blob > /tmp/odd
head -c ${END_SIZE} /tmp/blob > /tmp/end
say before; sha256sum < /dev/vda
say parallel
for quarter in 0 1 2 3; do
  dd if=/dev/vda bs=1M skip=$((quarter * 16)) count=${PART_MIB} iflag=direct 2>/tmp/err$quarter | sha256sum > /tmp/sum$quarter &
done
wait; cat /tmp/sum?
say write
dd if=/tmp/blob of=/dev/vda bs=4096 seek=${DIRECT_AT} oflag=direct,seek_bytes conv=notrunc 2>/dev/null; echo $?
dd if=/tmp/odd of=/dev/vda bs=997 seek=${ODD_AT} oflag=seek_bytes conv=notrunc,fsync 2>/dev/null; echo $?
dd if=/tmp/end of=/dev/vda bs=512 seek=${
  DISK_SIZE - END_SIZE
} oflag=seek_bytes conv=notrunc,fsync 2>/dev/null; echo $?
blkdiscard -o ${DISCARD_AT} -l ${DISCARD_SIZE} /dev/vda; echo $?
say stat; cat /sys/block/vda/stat
say cache; cat /sys/block/vda/queue/write_cache
say after; echo 3 > /proc/sys/vm/drop_caches; tail -c +${
  ODD_AT + 1
} /dev/vda | head -c ${ODD_SIZE} | sha256sum
say beyond; dd if=/tmp/end of=/dev/vda bs=512 seek=${DISK_SIZE} oflag=seek_bytes conv=notrunc 2>&1 | head -n1
say readonly; cat /sys/block/vdb/ro; sha256sum < /dev/vdb
say refused; dd if=/tmp/end of=/dev/vdb bs=512 conv=notrunc,fsync 2>&1 | head -n1
say discard; blkdiscard /dev/vdb 2>&1
exit 0
`;

interface Result {
  readonly run: GuestRun;
  /** The guest's words by their heading. */
  readonly said: Readonly<Record<string, string>>;
  /** The disk as it was, as the guest was told to make it, and as it is. */
  readonly before: Uint8Array;
  readonly wanted: Uint8Array;
  readonly after: Uint8Array;
  readonly readonlyBefore: Uint8Array;
  readonly readonlyAfter: Uint8Array;
}

/** One guest with a disk that it writes and one that it may only read. */
const result = once(async (): Promise<Result> => {
  const folder = await Deno.makeTempDir();
  const [path, readonlyPath] = [`${folder}/disk`, `${folder}/readonly`];
  const random = new Random(SEED);
  const before = randomBytes(random, DISK_SIZE);
  const readonlyBefore = randomBytes(random, READONLY_SIZE);
  const blob = randomBytes(random, BLOB_SIZE);
  await Deno.writeFile(path, before);
  await Deno.writeFile(readonlyPath, readonlyBefore);
  const run = await runGuest({
    command: COMMAND,
    stdin: blob,
    config: { cpus: 2, disks: [{ path }, { path: readonlyPath, readonly: true }] },
  });
  const [after, readonlyAfter] = [await Deno.readFile(path), await Deno.readFile(readonlyPath)];
  await Deno.remove(folder, { recursive: true });
  assertEquals([run.outcome.reason, run.status], ["powered-off", 0], run.stderr + run.log);
  const said = Object.fromEntries(
    textOf(run.stdout).split("== ").slice(1).map((part) => {
      const [heading = "", ...lines] = part.trimEnd().split("\n");
      return [heading, lines.join("\n")];
    }),
  );
  const wanted = written(before, blob);
  return { run, said, before, wanted, after, readonlyBefore, readonlyAfter };
});

Deno.test("Linux reads the whole of a disk as the host wrote it", NEEDS, async () => {
  const { said, before } = await result();
  assertEquals(said["before"], await sumLine(before));
});

Deno.test("Linux reads four parts of a disk at once, past its page cache", NEEDS, async () => {
  const { said, before } = await result();
  const sums = [0, 1, 2, 3].map((n) => QUARTER * n).map((start) =>
    sumLine(before.subarray(start, start + PART_MIB * 2 ** 20))
  );
  assertEquals(said["parallel"], (await Promise.all(sums)).join("\n"));
});

Deno.test(
  "the host finds what Linux wrote and discarded, and nothing else changed",
  NEEDS,
  async () => {
    const { said, wanted, after } = await result();
    assertEquals(said["write"], "0\n0\n0\n0");
    assertEquals(firstDifference(after, wanted), undefined);
    assertEquals(said["after"], await sumLine(wanted.subarray(ODD_AT, ODD_AT + ODD_SIZE)));
  },
);

Deno.test("Linux' fsync reaches the disk as flushes", NEEDS, async () => {
  const { said } = await result();
  assertEquals(said["cache"], "write back");
  // Documentation/block/stat.rst: the 16th is the count of flushes.
  const flushes = Number(said["stat"]?.trim().split(/\s+/)[15]);
  assert(flushes >= 2, said["stat"]);
});

Deno.test("Linux cannot write beyond a disk's end", NEEDS, async () => {
  const { said } = await result();
  assertMatch(said["beyond"] ?? "", /No space left on device/);
});

Deno.test("Linux may read a read-only disk and not write to it", NEEDS, async () => {
  const { said, readonlyBefore, readonlyAfter } = await result();
  assertEquals(said["readonly"], `1\n${await sumLine(readonlyBefore)}`);
  assertMatch(said["refused"] ?? "", /Operation not permitted|Read-only file system/);
  assertMatch(said["discard"] ?? "", /Operation not permitted|Read-only|not supported/);
  assertEquals(firstDifference(readonlyAfter, readonlyBefore), undefined);
});

Deno.test("no disk complains about Linux", NEEDS, async () => {
  const { run } = await result();
  assertEquals(run.warnings, []);
});

/** The disk after what {@linkcode COMMAND} does to it. */
function written(before: Uint8Array, blob: Uint8Array): Uint8Array {
  const disk = before.slice();
  disk.set(blob, DIRECT_AT);
  disk.set(blob.subarray(0, ODD_SIZE), ODD_AT);
  disk.set(blob.subarray(0, END_SIZE), DISK_SIZE - END_SIZE);
  return disk.fill(0, DISCARD_AT, DISCARD_AT + DISCARD_SIZE);
}

function randomBytes(random: Random, length: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(length / 4);
  for (let index = 0; index < words.length; index++) words[index] = random.u32();
  return new Uint8Array(words.buffer);
}

/** As sha256sum prints what it read from stdin. */
async function sumLine(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return `${new Uint8Array(digest).toHex()}  -`;
}

/** Offset of the first byte that differs, or of the end of the shorter one. */
function firstDifference(one: Uint8Array, other: Uint8Array): number | undefined {
  const length = Math.min(one.length, other.length);
  for (let index = 0; index < length; index++) if (one[index] !== other[index]) return index;
  return one.length === other.length ? undefined : length;
}
