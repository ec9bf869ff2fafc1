import { assert, assertEquals } from "@std/assert";
import {
  ConfigError,
  errnoText,
  errorText,
  GuestError,
  SystemError,
  VireoError,
} from "../../src/base/errors.ts";

Deno.test("VireoError keeps kind and cause, and is called by its class", () => {
  const cause = new Error("Disk gone");
  const error = new VireoError("load_memory", "Cannot load the kernel", { cause });
  assertEquals([error.kind, error.cause, error.name, error.message], [
    "load_memory",
    cause,
    "VireoError",
    "Cannot load the kernel",
  ]);
});

Deno.test("SystemError says what was done, the call, and the errno's name and meaning", () => {
  const error = new SystemError("open", 2, 'Cannot open "/dev/kvm"');
  assertEquals(
    error.message,
    'Cannot open "/dev/kvm": open: ENOENT (no such file or directory)',
  );
  assertEquals([error.kind, error.syscall, error.errno, error.code], [
    "system",
    "open",
    2,
    "ENOENT",
  ]);
});

Deno.test("SystemError names an errno that has no name here by its number", () => {
  const error = new SystemError("ioctl(KVM_RUN)", 133);
  assertEquals(error.message, "System call failed: ioctl(KVM_RUN): errno 133");
  assertEquals(error.code, "errno 133");
});

Deno.test("ConfigError begins with the path of the wrong key", () => {
  const error = new ConfigError("memory.size", "must be at least 1 MiB");
  assertEquals([error.kind, error.path, error.message, error.name], [
    "config",
    "memory.size",
    "memory.size: must be at least 1 MiB",
    "ConfigError",
  ]);
});

Deno.test("GuestError is a VireoError of kind guest", () => {
  const error = new GuestError("The guest wrote outside of its RAM");
  assert(error instanceof VireoError);
  assertEquals([error.kind, error.name], ["guest", "GuestError"]);
});

Deno.test("errnoText() of EMFILE says where the limit is", () => {
  assertEquals(errnoText(24), "EMFILE (too many open files, see `ulimit -n`)");
});

Deno.test("errorText() takes errors and anything else that was thrown", () => {
  assertEquals(errorText(new RangeError("Too big")), "Too big");
  assertEquals(errorText(17), "17");
  assertEquals(errorText(undefined), "undefined");
});
