import { assert, assertEquals } from "@std/assert";
import type { DeviceDescriptor } from "../../src/bus/device_descriptor.ts";
import { EventFd } from "../../src/host/fd.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { FirstWork } from "../../src/machine/first_work.ts";
import { descriptorOf } from "../support/descriptor.ts";
import { requirement } from "../support/require.ts";

const FFI = requirement("ffi");
if (!FFI.ignore) openAllGroups();

Deno.test("FirstWork comes with a device's event", FFI, async () => {
  using event = EventFd.create();
  using work = FirstWork.of([disk({ queue0: event.number })], 1);
  const come = work?.come();
  event.signal();
  assertEquals(await come, true);
});

Deno.test(
  "FirstWork ends without work where it is hastened, be it before the wait",
  FFI,
  async () => {
    using event = EventFd.create();
    using work = FirstWork.of([disk({ queue0: event.number })], 1);
    work?.hasten();
    assertEquals(await work?.come(), false);
  },
);

Deno.test("FirstWork that is hastened tells of work that came at the same time", FFI, async () => {
  using event = EventFd.create();
  using work = FirstWork.of([disk({ queue0: event.number })], 1);
  event.signal();
  work?.hasten();
  assertEquals(await work?.come(), true);
});

Deno.test(
  "FirstWork does not take a disk's image, which can always be read, for work",
  FFI,
  async () => {
    using image = EventFd.create();
    image.signal();
    using event = EventFd.create();
    using work = FirstWork.of([disk({ image: image.number, queue0: event.number })], 1);
    work?.hasten();
    assertEquals(await work?.come(), false);
  },
);

Deno.test("FirstWork is for hosts of one processor, and one machine of a process", FFI, () => {
  assertEquals(FirstWork.of([], 2), undefined);
  using first = FirstWork.of([], 1);
  assert(first !== undefined);
  assertEquals(FirstWork.of([], 1), undefined);
});

function disk(fds: Readonly<Record<string, number>>): DeviceDescriptor {
  return descriptorOf({ kind: "blk", id: "disk0", worker: 0, fds });
}
