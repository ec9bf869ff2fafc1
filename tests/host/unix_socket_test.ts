import { assert, assertEquals, assertThrows } from "@std/assert";
import { EAGAIN } from "../../src/abi/linux.ts";
import { VireoError } from "../../src/base/errors.ts";
import { Fd } from "../../src/host/fd.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import {
  acceptClient,
  isStaleSocket,
  SOCKET_PATH_MAX,
  UnixListener,
} from "../../src/host/unix_socket.ts";
import { requirement } from "../support/require.ts";

const NEEDS = requirement("ffi");
if (!NEEDS.ignore) openAllGroups();

async function inFolder(work: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-socket-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

Deno.test("UnixListener takes clients of its owner, and goes with its name", NEEDS, async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/console`;
    const listener = UnixListener.open(path);
    assertEquals(((await Deno.lstat(path)).mode ?? 0) % 0o1000, 0o600);
    assertEquals(acceptClient(listener.fd.number), -EAGAIN);
    using _connection = await Deno.connect({ transport: "unix", path });
    using client = new Fd(acceptClient(listener.fd.number));
    assert(client.number >= 0);
    listener[Symbol.dispose]();
    assertEquals(isThere(path), false);
  });
});

Deno.test(
  "UnixListener replaces a socket that nobody listens on, and no other",
  NEEDS,
  async () => {
    await inFolder((folder) => {
      const path = `${folder}/console`;
      assertEquals(isStaleSocket(path), false);
      const first = UnixListener.open(path);
      assertThrows(() => UnixListener.open(path), VireoError, "Another program listens on");
      assertThrows(() => isStaleSocket(path), VireoError, "Another program listens on");
      first.fd.close();
      assertEquals(isStaleSocket(path), true);
      using _second = UnixListener.open(path);
      assertThrows(() => UnixListener.open(path), VireoError, "Another program listens on");
    });
  },
);

Deno.test(
  "UnixListener leaves alone what is no socket, and what is not its own",
  NEEDS,
  async () => {
    await inFolder((folder) => {
      const path = `${folder}/file`;
      Deno.writeTextFileSync(path, "kept");
      assertThrows(() => UnixListener.open(path), VireoError, "is there and no socket");
      const listener = UnixListener.open(`${folder}/socket`);
      Deno.renameSync(path, `${folder}/socket`);
      listener[Symbol.dispose]();
      assertEquals(Deno.readTextFileSync(`${folder}/socket`), "kept");
    });
  },
);

Deno.test("UnixListener takes a path of 107 bytes and none of 108", NEEDS, async () => {
  assertEquals(SOCKET_PATH_MAX, 107);
  await inFolder((folder) => {
    const path = `${folder}/`.padEnd(107, "x");
    using _listener = UnixListener.open(path);
    assert(isThere(path));
    assertThrows(() => UnixListener.open(`${path}x`), VireoError, "108 bytes of at most 107");
    assertThrows(() => UnixListener.open(""), VireoError, "0 bytes");
  });
});
