import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { parseAptRecord } from "../../src/boot/apt.ts";
import { type FetchOptions, fetchPackages, kernelMetaTarget } from "../../src/boot/packages.ts";
import { VireoError } from "../../src/base/errors.ts";
import { FakeArchive } from "./fake_archive.ts";

const ARCHIVE = {
  "busybox-static": { version: "1:1.35.0-4", files: { "bin/busybox": "busybox" } },
  "linux-image-cloud-amd64": {
    version: "6.1.9-1",
    depends: "linux-image-6.1.0-9-cloud-amd64 (= 6.1.9-1)",
  },
  "linux-image-6.1.0-9-cloud-amd64": {
    version: "6.1.9-1",
    depends: "kmod, linux-base (>= 4.3~), initramfs-tools | linux-initramfs-tool",
    files: { "boot/vmlinuz-6.1.0-9-cloud-amd64": "kernel" },
  },
  "linux-image-9.0-amd64": {
    version: "9.0",
    depends: "linux-binary-9.0-amd64 (= 9.0), linux-modules-9.0-amd64 (= 9.0), linux-base",
  },
  "linux-binary-9.0-amd64": { version: "9.0", files: { "boot/vmlinuz-9.0": "kernel" } },
  "linux-modules-9.0-amd64": { version: "9.0", files: { "usr/lib/modules/9.0/a.ko": "a" } },
};

async function namesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(folder)) names.push(name);
  return names;
}

async function withCache(
  use: (archive: FakeArchive, options: FetchOptions & { readonly cache: string }) => Promise<void>,
): Promise<void> {
  const cache = await Deno.makeTempDir();
  const archive = new FakeArchive(ARCHIVE);
  try {
    await use(archive, { cache, run: archive.run, room: () => Infinity });
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
}

Deno.test("fetchPackages() unpacks a package and is asked for nothing the second time", async () => {
  await withCache(async (archive, options) => {
    const first = await fetchPackages(["busybox-static"], options);
    const { name, version, root } = first.get("busybox-static") ??
      { name: "", version: "", root: "" };
    assertEquals([name, version], ["busybox-static", "1:1.35.0-4"]);
    assertEquals(await Deno.readTextFile(`${root}/bin/busybox`), "busybox");
    const calls = archive.calls.length;
    archive.network = false;
    assertEquals(await fetchPackages(["busybox-static"], options), first);
    assertEquals(archive.calls.length, calls);
  });
});

Deno.test("fetchPackages() follows a kernel's meta package", async () => {
  await withCache(async (_archive, options) => {
    const found = await fetchPackages(["linux-image-cloud-amd64"], options);
    const fetched = found.get("linux-image-cloud-amd64");
    assertEquals(fetched?.name, "linux-image-6.1.0-9-cloud-amd64");
    assertEquals(
      await Deno.readTextFile(`${fetched?.root}/boot/vmlinuz-6.1.0-9-cloud-amd64`),
      "kernel",
    );
  });
});

Deno.test("fetchPackages() puts the parts of a split kernel into one folder", async () => {
  await withCache(async (_archive, options) => {
    const root = (await fetchPackages(["linux-image-9.0-amd64"], options))
      .get("linux-image-9.0-amd64")?.root;
    assertEquals(await Deno.readTextFile(`${root}/boot/vmlinuz-9.0`), "kernel");
    assertEquals(await Deno.readTextFile(`${root}/usr/lib/modules/9.0/a.ko`), "a");
  });
});

Deno.test("fetchPackages() fetches lists of its own where the system has none", async () => {
  await withCache(async (archive, options) => {
    archive.systemLists = false;
    await fetchPackages(["busybox-static"], options);
    assertEquals(archive.calls.filter((call) => call === "apt-get update").length, 1);
  });
});

Deno.test("fetchPackages() says what apt said where there is no network", async () => {
  await withCache(async (archive, options) => {
    archive.systemLists = false;
    archive.network = false;
    const error = await assertRejects(() => fetchPackages(["busybox-static"], options), VireoError);
    assertEquals(
      error.message,
      "Cannot find package busybox-static in apt's package lists; apt-get update: Failed to fetch " +
        "http://archive/InRelease  Temporary failure; check the network and apt's sources",
    );
  });
});

Deno.test("fetchPackages() leaves nothing half-made where the disk is full", async () => {
  await withCache(async (archive, options) => {
    archive.unpackError = "tar: No space left on device";
    await assertRejects(
      () => fetchPackages(["busybox-static"], options),
      VireoError,
      "the disk is full: dpkg-deb -x: tar: No space left on device; free some space, or choose " +
        "another cache folder with XDG_CACHE_HOME",
    );
    const left = await namesIn(`${options.cache}/packages`);
    assertEquals(left, [".lock"]);
    archive.unpackError = "";
    assertEquals((await fetchPackages(["busybox-static"], options)).size, 1);
  });
});

Deno.test("fetchPackages() says what a full disk lacks before anything is fetched", async () => {
  await withCache(async (archive, options) => {
    const full = { ...options, room: () => 2 ** 20 };
    const place = `in "${options.cache}/packages": its disk has 1 MiB left, and some`;
    const next = "needed; free some space, or choose another cache folder with XDG_CACHE_HOME";
    await assertRejects(
      () => fetchPackages(["busybox-static"], full),
      VireoError,
      `Cannot keep package busybox-static ${place} 3 MiB are ${next}`,
    );
    assertEquals(archive.calls, ["apt-cache show busybox-static"]);
    archive.systemLists = false;
    await assertRejects(
      () => fetchPackages(["busybox-static"], full),
      VireoError,
      `Cannot keep Debian's package lists ${place} 48 MiB are ${next}`,
    );
    assertEquals(archive.calls.length, 2);
  });
});

Deno.test("fetchPackages() tells a disk that gets full from an archive that does not answer", async () => {
  await withCache(async (archive, options) => {
    archive.fetchError =
      "E: Failed to fetch it  Error writing to file - write (28: No space left on device)";
    const refused =
      /^Cannot write ".*": the disk is full: Failed to fetch it .*; free some space, or/;
    const first = await assertRejects(() => fetchPackages(["busybox-static"], options), VireoError);
    assertMatch(first.message, refused);
    assertEquals(archive.calls.includes("apt-get update"), false);
    archive.systemLists = false;
    const second = await assertRejects(
      () => fetchPackages(["busybox-static"], options),
      VireoError,
    );
    assertMatch(second.message, refused);
  });
});

Deno.test("fetchPackages() removes what a killed run left, and rewrites a broken note", async () => {
  await withCache(async (_archive, options) => {
    await Deno.mkdir(`${options.cache}/packages/.unfinished-1/root`, { recursive: true });
    await Deno.writeTextFile(`${options.cache}/packages/busybox-static.json`, "{");
    await fetchPackages(["busybox-static"], options);
    const left = await namesIn(`${options.cache}/packages`);
    assertEquals(left.sort(), [
      ".lock",
      "busybox-static.json",
      "busybox-static_1%3A1.35.0-4",
    ]);
  });
});

Deno.test("fetchPackages() called twice at once fetches once", async () => {
  await withCache(async (archive, options) => {
    await Promise.all([
      fetchPackages(["busybox-static"], options),
      fetchPackages(["busybox-static"], options),
    ]);
    assertEquals(archive.calls.filter((call) => call.startsWith("apt-get download")).length, 1);
  });
});

Deno.test("fetchPackages() tells its progress in megabytes", async () => {
  await withCache(async (_archive, options) => {
    const lines: string[] = [];
    await fetchPackages(["busybox-static"], { ...options, progress: (line) => lines.push(line) });
    assertEquals(lines, [
      "Looking for packages",
      "Fetching busybox-static: 0.5 of 1.0 MB",
      "Unpacking busybox-static",
    ]);
  });
});

Deno.test("parseAptRecord() reads the first record, of alternatives the first name", () => {
  const text = "Package: a\nVersion: 1:2-3\nDepends: b (>= 1), c | d\nDescription: x\n  Size: 9\n" +
    "Size: 77\nInstalled-Size: 5\n\nPackage: a\nVersion: 0\n";
  assertEquals(parseAptRecord(text), {
    name: "a",
    version: "1:2-3",
    size: 77,
    installedSize: 5 * 1024,
    depends: ["b", "c"],
  });
  assertEquals(parseAptRecord("N: Can't select versions from package"), undefined);
});

Deno.test("kernelMetaTarget() follows names without a version alone", () => {
  const record = (name: string, depends: string[]) => ({
    name,
    version: "1",
    size: 1,
    installedSize: 1,
    depends,
  });
  assertEquals(
    kernelMetaTarget(record("linux-image-amd64", ["linux-image-6.1"])),
    "linux-image-6.1",
  );
  assertEquals(kernelMetaTarget(record("linux-image-6.1", ["linux-image-6.2"])), undefined);
  assertEquals(kernelMetaTarget(record("busybox", ["linux-image-6.2"])), undefined);
});

Deno.test("fetchPackages() takes another release from this system's archive, into a folder of its own", async () => {
  await withCache(async (archive, options) => {
    const [fetched] = (await fetchPackages(["busybox-static"], { ...options, suite: "trixie" }))
      .values();
    const folder = `${options.cache}/packages-trixie/`;
    assertEquals(fetched?.root.startsWith(folder), true, fetched?.root);
    const list = await Deno.readTextFile(`${options.cache}/apt-trixie/sources.list`);
    assertMatch(list, /^deb (\[signed-by=\S+\] )?http:\/\/archive\/debian\/ trixie main\n$/);
    const calls = archive.calls.length;
    await fetchPackages(["busybox-static"], { ...options, suite: "trixie" });
    assertEquals(archive.calls.length, calls);
  });
});

Deno.test("fetchPackages() says where a system has no source of Debian's for another release", async () => {
  await withCache(async (archive, options) => {
    archive.sources = ["http://archive/ubuntu/"];
    await assertRejects(
      () => fetchPackages(["busybox-static"], { ...options, suite: "trixie" }),
      VireoError,
      "Cannot find Debian's archive among apt's sources",
    );
  });
});
