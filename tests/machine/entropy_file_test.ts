import { assertEquals, assertThrows } from "@std/assert";
import { EAGAIN } from "../../src/abi/linux.ts";
import { ConfigError } from "../../src/base/errors.ts";
import { read } from "../../src/host/file.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { openEntropyFile } from "../../src/machine/entropy_file.ts";
import { requirement } from "../support/require.ts";

if (!requirement("ffi").ignore) openAllGroups();

Deno.test(
  "openEntropyFile() opens a device, and a FIFO so that it neither waits nor ends",
  requirement("ffi"),
  () => {
    const folder = Deno.makeTempDirSync({ prefix: "vireo-entropy-" });
    try {
      using device = openEntropyFile("/dev/urandom");
      assertEquals(read(device.number, new Uint8Array(8)), 8);
      new Deno.Command("mkfifo", { args: [`${folder}/fifo`] }).outputSync();
      using fifo = openEntropyFile(`${folder}/fifo`);
      assertEquals(read(fifo.number, new Uint8Array(8)), -EAGAIN);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
);

Deno.test(
  "openEntropyFile() names the key for what is absent or no file",
  requirement("ffi"),
  () => {
    for (
      const [path, text] of [["/nonexistent", "ENOENT"], [
        "/",
        "it is no file, character device",
      ]] as const
    ) {
      assertThrows(() => openEntropyFile(path), ConfigError, "rng.source: Cannot take entropy");
      assertThrows(() => openEntropyFile(path), ConfigError, text);
    }
  },
);
