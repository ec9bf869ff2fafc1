import { assertEquals, assertGreater, assertLess, assertThrows } from "@std/assert";
import { MADV_DONTNEED, PROT_READ } from "../../src/abi/linux.ts";
import { SystemError, VireoError } from "../../src/base/errors.ts";
import { Fd } from "../../src/host/fd.ts";
import { ftruncate, pread } from "../../src/host/file.ts";
import { addressOf, Mapping, VIEW_LIMIT, viewAt, viewTable } from "../../src/host/mapping.ts";
import { libcRequirement, statusKib } from "../support/libc.ts";

const needs = libcRequirement();

Deno.test("Mapping.anonymous() gives zeroed, page-aligned memory", needs, () => {
  using mapping = Mapping.anonymous(8192, { noReserve: true, hugePages: true });
  assertEquals(mapping.address % 4096, 0);
  assertEquals(new Uint8Array(mapping.buffer()).every((byte) => byte === 0), true);
});

Deno.test("Mapping: a view by address sees the same bytes in another isolate", needs, async () => {
  using mapping = Mapping.anonymous(4096);
  const worker = new Worker(new URL("../guests/memory_worker.ts", import.meta.url), {
    type: "module",
  });
  const answer = new Promise((resolve) => worker.onmessage = (event) => resolve(event.data));
  new Uint8Array(mapping.buffer())[7] = 41;
  worker.postMessage({ address: mapping.address, index: 7 });
  assertEquals(await answer, 41);
  worker.terminate();
  assertEquals(new Uint8Array(mapping.buffer())[7], 42);
});

Deno.test("Mapping.views() splits memory into views of at most 16 GiB", needs, () => {
  const size = 2 * VIEW_LIMIT + 4096;
  using mapping = Mapping.anonymous(size, { noReserve: true });
  const views = mapping.views();
  assertEquals(views.map((view) => view.byteLength), [VIEW_LIMIT, VIEW_LIMIT, 4096]);
  new Uint8Array(views[2] ?? new ArrayBuffer(0))[4095] = 9;
  assertEquals(new Uint8Array(viewAt(mapping.address + size - 1, 1))[0], 9);
  assertEquals(viewTable(mapping.address, size).length, 3);
  assertEquals(assertThrows(() => mapping.buffer(), VireoError).kind, "range");
});

Deno.test("Mapping.file() shares bytes with the file", needs, () => {
  using file = Fd.memory("vireo-test");
  assertEquals(ftruncate(file.number, 8192), 0);
  using mapping = Mapping.file(file.number, 4096, 4096);
  new Uint8Array(mapping.buffer())[1] = 77;
  const bytes = new Uint8Array(1);
  assertEquals(pread(file.number, bytes, 4097), 1);
  assertEquals(bytes[0], 77);
});

Deno.test("Mapping.file() of a descriptor that can't be mapped throws", needs, () => {
  const error = assertThrows(() => Mapping.file(-1, 0, 4096, PROT_READ), SystemError);
  assertEquals([error.syscall, error.code], ["mmap", "EBADF"]);
});

Deno.test("Mapping.advise() works on a range inside only", needs, () => {
  using mapping = Mapping.anonymous(8192);
  const bytes = new Uint8Array(mapping.buffer());
  bytes.fill(1);
  mapping.advise(MADV_DONTNEED, 4096);
  assertEquals([bytes[4095], bytes[4096]], [1, 0]);
  assertThrows(() => mapping.advise(MADV_DONTNEED, 4096, 8192), VireoError, "Cannot advise");
});

Deno.test("Mapping: dispose gives the memory back, once", needs, () => {
  const before = statusKib("VmSize");
  const mapping = Mapping.anonymous(2 ** 30, { noReserve: true });
  assertGreater(statusKib("VmSize"), before + 2 ** 19);
  mapping[Symbol.dispose]();
  mapping[Symbol.dispose]();
  assertLess(statusKib("VmSize"), before + 2 ** 19);
  assertEquals(assertThrows(() => mapping.views(), VireoError).kind, "closed");
});

Deno.test("addressOf() is where the bytes lie", needs, () => {
  const bytes = new Uint8Array(new ArrayBuffer(4096));
  bytes[10] = 3;
  assertEquals(new Uint8Array(viewAt(addressOf(bytes) + 10, 1))[0], 3);
});
