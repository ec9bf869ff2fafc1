import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { VireoError } from "../../src/base/errors.ts";
import { statusOfError } from "../../src/cli/exit_status.ts";
import { ScratchDisk } from "../../src/cli/scratch_disk.ts";

/** Does something with another folder for temporary files. */
function withTemporary(folder: string, work: () => void): void {
  const before = Deno.env.get("TMPDIR");
  Deno.env.set("TMPDIR", folder);
  try {
    work();
  } finally {
    if (before === undefined) Deno.env.delete("TMPDIR");
    else Deno.env.set("TMPDIR", before);
  }
}

Deno.test("ScratchDisk is a sparse file of 1 GiB, and leaves nothing behind", () => {
  const folder = Deno.makeTempDirSync();
  withTemporary(folder, () => {
    using disk = new ScratchDisk();
    const { size, blocks } = Deno.statSync(disk.path);
    assertEquals([size, (blocks ?? 0) < 64], [2 ** 30, true]);
  });
  assertEquals([...Deno.readDirSync(folder)], []);
  Deno.removeSync(folder);
});

Deno.test("ScratchDisk says what to do where there is no place for temporary files", () => {
  withTemporary("/nonexistent", () => {
    const error = assertThrows(() => new ScratchDisk(), VireoError);
    assertMatch(
      error.message,
      /^Cannot make a scratch disk: No such file .*TMPDIR, or give a disk/,
    );
    assertEquals(statusOfError(error), 2);
  });
});
