import { assert, assertEquals, assertThrows } from "@std/assert";
import { O_DIRECT } from "../../src/abi/linux.ts";
import { ConfigError } from "../../src/base/errors.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { type DiskImage, openImage, openingHint } from "../../src/storage/open_image.ts";
import { requirement } from "../support/require.ts";

if (!requirement().ignore) openAllGroups();

/** Runs `body` with the path of a file of `size` bytes. */
function withFile(size: number, body: (path: string) => void): void {
  const folder = Deno.makeTempDirSync();
  try {
    const path = `${folder}/disk.img`;
    Deno.writeFileSync(path, new Uint8Array());
    Deno.truncateSync(path, size);
    body(path);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function refused(path: string, text: string, readonly = false): void {
  assertThrows(() => openImage(path, { readonly, where: "--disk" }), ConfigError, text);
}

function open(path: string, readonly = false): DiskImage {
  return openImage(path, { readonly, where: "--disk" });
}

Deno.test("openImage() gives descriptor, size and mode", requirement(), () => {
  withFile(1536, (path) => {
    using image = open(path);
    assertEquals([image.size, image.readonly, image.fd.closed], [1536, false, false]);
  });
});

Deno.test(
  "openImage() refuses sizes 0, 511 and 513 and says how to mend them",
  requirement(),
  () => {
    withFile(0, (path) => refused(path, "it is empty; give it a size: truncate -s 1G"));
    withFile(511, (path) => refused(path, "its 511 bytes are not whole sectors"));
    withFile(513, (path) => refused(path, `cut off 1 bytes with truncate -s -1 '${path}'`));
  },
);

Deno.test("openImage() refuses an empty path and one with NUL", requirement(), () => {
  refused("", "--disk: The disk's path is empty or holds NUL");
  refused("a\0b", "--disk: The disk's path is empty or holds NUL");
});

Deno.test(
  "openImage() names the errno and what to do where the file is absent",
  requirement(),
  () => {
    refused(
      "/nonexistent/disk.img",
      `"/nonexistent/disk.img" (open: ENOENT): there is no such file`,
    );
  },
);

Deno.test(
  "openImage() refuses a folder, a FIFO, /dev/null and a path of 5000 bytes",
  requirement(),
  () => {
    withFile(512, (path) => {
      const fifo = `${path}.fifo`;
      new Deno.Command("mkfifo", { args: [fifo] }).outputSync();
      refused(fifo, "it is a FIFO");
    });
    refused("/", "it is a folder");
    refused("/dev/null", "it is a character device");
    refused("/" + "x".repeat(5000), "it cannot be opened");
  },
);

Deno.test("openingHint() proposes readonly where only writing fails", () => {
  assertEquals(openingHint("EROFS", false), 'its file system is read-only; add ",readonly"');
  assertEquals(
    openingHint("EACCES", false),
    'no permission to read and write it; change its permissions, or add ",readonly"',
  );
  assertEquals(
    openingHint("EACCES", true),
    "no permission to read it; change its permissions, or run as its owner",
  );
});

Deno.test("openImage() refuses a second writer until the first has let go", requirement(), () => {
  withFile(512, (path) => {
    {
      using _first = open(path);
      refused(path, "another machine or program uses it");
      refused(path, "another machine or program writes to it", true);
    }
    using _second = open(path);
  });
});

Deno.test("openImage() lets two readers in and keeps a writer out", requirement(), () => {
  withFile(512, (path) => {
    using _first = open(path, true);
    using second = open(path, true);
    assertEquals(second.readonly, true);
    refused(path, 'add ",readonly" to both');
  });
});

Deno.test("openImage() keeps the lock for as long as a duplicate is open", requirement(), () => {
  withFile(512, (path) => {
    const image = open(path);
    using _duplicate = image.fd.duplicate();
    image[Symbol.dispose]();
    refused(path, "another machine or program uses it");
  });
});

Deno.test(
  "openImage() opens an image a second time for direct I/O",
  requirement("direct_io"),
  () => {
    withFile(4096, (path) => {
      using image = openImage(path, { readonly: false, where: "disks[0].path", direct: true });
      assert(image.direct !== undefined);
      const [, flags] = /^flags:\s+(\d+)$/m.exec(
        Deno.readTextFileSync(`/proc/self/fdinfo/${image.direct.fd}`),
      ) ?? [];
      // bits: flags of open
      assertEquals(parseInt(flags ?? "", 8) & O_DIRECT, O_DIRECT);
      assert([512, 4096].includes(image.direct.alignment));
      refused(path, "another machine or program uses it");
    });
  },
);

Deno.test(
  "openImage() takes an image that begins as another format for the bytes that it is",
  requirement(),
  () => {
    withFile(4096, (path) => {
      // A header of QCOW2, version 3, with the name of a backing file at byte 512: what a guest may have put there.
      using file = Deno.openSync(path, { write: true });
      const header = new DataView(new ArrayBuffer(32));
      header.setUint32(0, 0x514649fb);
      header.setUint32(4, 3);
      header.setBigUint64(8, 512n);
      header.setUint32(16, 11);
      header.setUint32(20, 16);
      header.setBigUint64(24, 2n ** 40n);
      file.writeSync(new Uint8Array(header.buffer));
      file.seekSync(512, Deno.SeekMode.Start);
      file.writeSync(new TextEncoder().encode("/etc/shadow"));
      const files = () => [...Deno.readDirSync("/proc/self/fd")].length;
      const before = files();
      using image = open(path);
      assertEquals([image.size, files() - before], [4096, 1]);
    });
  },
);

Deno.test("openImage() leaves no descriptor behind after a refusal", requirement(), () => {
  const count = () => Array.from(Deno.readDirSync("/proc/self/fd")).length;
  withFile(513, (path) => {
    const before = count();
    for (let i = 0; i < 100; i++) refused(path, "not whole sectors");
    assertEquals(count(), before);
  });
});
