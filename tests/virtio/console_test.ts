import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { O_RDWR, O_WRONLY } from "../../src/abi/linux.ts";
import {
  VIRTIO_MMIO_CONFIG,
  VIRTIO_MMIO_CONFIG_GENERATION,
  VIRTIO_MMIO_INT_CONFIG,
} from "../../src/abi/virtio.ts";
import { VIRTIO_CONSOLE_F_MULTIPORT, VIRTIO_CONSOLE_F_SIZE } from "../../src/abi/virtio_devices.ts";
import { Fd } from "../../src/host/fd.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { UnixListener } from "../../src/host/unix_socket.ts";
import { TERMINAL_HELP } from "../../src/devices/terminal_escape.ts";
import {
  Console,
  CONSOLE_KEPT_SIZE,
  CONSOLE_RING_SIZE,
  consoleSizeBytes,
  consoleSpec,
} from "../../src/virtio/console.ts";
import type { DriverQueue } from "../support/driver.ts";
import { Fifo, PIPE_SIZE } from "../support/fifo.ts";
import { requirement } from "../support/require.ts";
import { turnUntil, UnixClient } from "../support/unix_client.ts";
import { VirtioBench } from "../support/virtio_bench.ts";

const NEEDS = requirement("ffi");
if (!NEEDS.ignore) openAllGroups();
const RECEIVE = 0;
const TRANSMIT = 1;

interface Streams {
  readonly input?: number;
  readonly output?: number;
  readonly listener?: number;
  readonly escape?: boolean;
  /** Whether there is a driver from the start. */
  readonly driver?: boolean;
}

function open(
  { input = -1, output = -1, listener, escape = false, driver = true }: Streams,
): VirtioBench {
  const bench = VirtioBench.open({
    spec: consoleSpec({ columns: 80, rows: 24 }),
    device: (context) => new Console(context),
    fds: { input, output, ...(listener === undefined ? {} : { listener }) },
    options: { escape },
  });
  if (driver) bench.initialize();
  return bench;
}

function queueOf(bench: VirtioBench, index: number): DriverQueue {
  const queue = bench.driver.queues[index];
  if (queue === undefined) throw new Error(`There is no queue ${index}`);
  return queue;
}

function send(bench: VirtioBench, text: string): void {
  queueOf(bench, TRANSMIT).add([{ readable: new TextEncoder().encode(text) }]);
  bench.notify(TRANSMIT);
}

/** Sends `count` bytes by buffers of 32 KiB, all in the same place; each comes back at once. */
function flood(bench: VirtioBench, count: number): void {
  const queue = queueOf(bench, TRANSMIT);
  queue.used();
  for (let sent = 0; sent < count; sent += 32768) {
    queue.add([{ readable: 32768, at: 0xc000_0000 }]);
    bench.notify(TRANSMIT);
    assertEquals(queue.used().length, 1);
  }
}

/** Offers a buffer for input and gives what is in it when it comes back. */
function received(bench: VirtioBench, room = 64): string {
  const queue = queueOf(bench, RECEIVE);
  queue.add([{ writable: room }]);
  bench.notify(RECEIVE);
  return arrived(bench);
}

/** What has come into the buffers that were offered. */
function arrived(bench: VirtioBench): string {
  const queue = queueOf(bench, RECEIVE);
  bench.turn();
  return queue.used().map(({ head, length }) =>
    new TextDecoder().decode(queue.written(head).subarray(0, length))
  ).join("");
}

Deno.test("consoleSpec() offers a size and no ports (row 0.25)", () => {
  const { features, config } = consoleSpec({ columns: 132, rows: 43 });
  assertEquals(features, [VIRTIO_CONSOLE_F_SIZE]);
  assert(!features.includes(VIRTIO_CONSOLE_F_MULTIPORT));
  assertEquals([...config ?? []].slice(0, 4), [132, 0, 43, 0]);
});

Deno.test("consoleSizeBytes() keeps what does not fit at the ends of the range", () => {
  assertEquals([...consoleSizeBytes({ columns: 70000, rows: -1 })], [255, 255, 0, 0]);
});

Deno.test(
  "Console tells its size by a configuration interrupt at the first output, once a driver",
  NEEDS,
  () => {
    using bench = open({});
    const told = () => bench.driver.read(VIRTIO_MMIO_CONFIG_GENERATION);
    const before = told();
    send(bench, "a");
    send(bench, "b");
    assertEquals(told(), before + 1);
    assert((bench.block.interruptStatus & VIRTIO_MMIO_INT_CONFIG) !== 0);
  },
);

Deno.test("Console's size changes by configuration space, generation and interrupt", NEEDS, () => {
  using bench = open({});
  const before = bench.driver.read(VIRTIO_MMIO_CONFIG_GENERATION);
  bench.back.changeConfig(0, consoleSizeBytes({ columns: 100, rows: 40 }));
  assertEquals(bench.front.read(VIRTIO_MMIO_CONFIG, 2), 100);
  assertEquals(bench.front.read(VIRTIO_MMIO_CONFIG + 2, 2), 40);
  assert(bench.driver.read(VIRTIO_MMIO_CONFIG_GENERATION) !== before);
  assertEquals([bench.interrupts, bench.block.interruptStatus], [1, 2]);
});

Deno.test(
  "Console writes the guest's output, several buffers in their order (row 0.25)",
  NEEDS,
  () => {
    using fifo = new Fifo();
    using bench = open({ output: fifo.writer.number });
    const queue = queueOf(bench, TRANSMIT);
    queue.add([{ readable: new TextEncoder().encode("a") }, {
      readable: new TextEncoder().encode("b"),
    }]);
    send(bench, "c\r\n");
    assertEquals(fifo.text(), "abc\r\n");
    assertEquals(queue.used().map(({ length }) => length), [0, 0]);
  },
);

Deno.test("Console gives input as the guest has room for it (row 0.25)", NEEDS, () => {
  using fifo = new Fifo();
  using bench = open({ input: fifo.reader.number });
  assertEquals(received(bench, 4), "");
  fifo.put("hello world");
  assertEquals(arrived(bench), "hell");
  assertEquals(received(bench, 64), "o world");
});

Deno.test("Console leaves input with the host while the guest has no buffer", NEEDS, () => {
  using fifo = new Fifo();
  using bench = open({ input: fifo.reader.number });
  fifo.put("waiting");
  bench.turn();
  assertEquals(fifo.text(), "waiting");
});

Deno.test(
  "Console gives buffers back at once while nobody reads, and drops what is too much",
  NEEDS,
  () => {
    using fifo = new Fifo();
    using bench = open({ output: fifo.writer.number });
    flood(bench, CONSOLE_RING_SIZE + PIPE_SIZE + 5 * 32768);
    assertEquals(bench.warnings.at(-1), "Dropped 163840 bytes of output so far: nobody reads it");
    let read = 0;
    for (let taken = -1; taken !== 0; bench.turn()) {
      taken = fifo.take().length;
      read += taken;
    }
    assertEquals(read, CONSOLE_RING_SIZE + PIPE_SIZE);
    send(bench, "again");
    assertEquals(fifo.text(), "again");
  },
);

Deno.test("Console warns once when its reader has gone, and drops from then on", NEEDS, () => {
  using fifo = new Fifo();
  using bench = open({ output: fifo.writer.number });
  fifo.reader.close();
  send(bench, "lost");
  send(bench, "lost");
  assertEquals(bench.warnings, [
    "Cannot write output any more, it is dropped: EPIPE (broken pipe)",
  ]);
  flood(bench, 4 * CONSOLE_RING_SIZE);
  assertEquals(bench.warnings.length, 1);
});

Deno.test("Console goes on without an input, an output, or both", NEEDS, () => {
  using bench = open({});
  flood(bench, 2 * CONSOLE_RING_SIZE);
  assertEquals(received(bench), "");
  assertEquals(bench.warnings, []);
});

Deno.test("Console keeps running after the input's end", NEEDS, () => {
  using fifo = new Fifo();
  using output = new Fifo();
  using bench = open({ input: fifo.reader.number, output: output.writer.number });
  fifo.put("bye");
  fifo.writer.close();
  assertEquals(received(bench), "bye");
  assertEquals(received(bench), "");
  send(bench, "still here");
  assertEquals(output.text(), "still here");
  assertEquals(bench.loop.runOnce(0), 0, "no event is left that nobody takes");
});

Deno.test("Console reads /dev/null and a file to their ends and writes to a file", NEEDS, () => {
  const path = Deno.makeTempFileSync();
  try {
    Deno.writeTextFileSync(path, "from a file");
    using file = Fd.open(path, O_RDWR);
    using nothing = Fd.open("/dev/null", O_RDWR);
    {
      using bench = open({ input: nothing.number, output: nothing.number });
      assertEquals(received(bench), "");
      send(bench, "gone");
    }
    using bench = open({ input: file.number, output: file.number });
    assertEquals(received(bench), "from a file");
    assertEquals(received(bench), "");
    send(bench, ", and to it");
    assertEquals(Deno.readTextFileSync(path), "from a file, and to it");
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("Console never waits for a full disk", NEEDS, () => {
  using full = Fd.open("/dev/full", O_WRONLY);
  using bench = open({ output: full.number });
  send(bench, "no room");
  assertStringIncludes(bench.warnings.join(), "ENOSPC");
});

Deno.test("Console takes Ctrl-A x out of its input and posts quit", NEEDS, () => {
  using fifo = new Fifo();
  using bench = open({ input: fifo.reader.number, escape: true });
  fifo.put("a\x01xb\x01\x01");
  bench.turn();
  assertEquals(received(bench), "ab\x01");
  assertEquals(bench.posted, [{ key: "quit" }]);
});

Deno.test("Console shows help on Ctrl-A h and gives the guest nothing of it", NEEDS, () => {
  using input = new Fifo();
  using output = new Fifo();
  using bench = open({
    input: input.reader.number,
    output: output.writer.number,
    escape: true,
  });
  input.put("\x01h");
  bench.turn();
  assertEquals(received(bench), "");
  assertEquals(output.text(), TERMINAL_HELP);
  input.put("x");
  assertEquals(arrived(bench), "x");
});

Deno.test(
  "Console hears Ctrl-A x before there is a driver, and keeps the keys around it",
  NEEDS,
  () => {
    using fifo = new Fifo();
    using bench = open({ input: fifo.reader.number, escape: true, driver: false });
    fifo.put("ab\x01xc");
    bench.turn();
    assertEquals(bench.posted, [{ key: "quit" }]);
    bench.initialize();
    assertEquals(received(bench, 2), "ab");
    assertEquals(received(bench), "c");
  },
);

Deno.test("Console hears Ctrl-A x of a guest that hangs, however much was typed", NEEDS, () => {
  using fifo = new Fifo();
  using bench = open({ input: fifo.reader.number, escape: true });
  fifo.fill();
  for (let i = 0; i < 20; i++) bench.turn();
  fifo.put("too much\x01x");
  bench.turn();
  assertEquals(bench.posted, [{ key: "quit" }]);
  assertEquals(received(bench).length, 64);
});

Deno.test("Console hears Ctrl-A x while it is drained, and touches no buffer then", NEEDS, () => {
  using fifo = new Fifo();
  using bench = open({ input: fifo.reader.number, escape: true });
  assertEquals(received(bench), "");
  bench.back.drain();
  fifo.put("a\x01x");
  assertEquals(arrived(bench), "");
  assertEquals(bench.posted, [{ key: "quit" }]);
  bench.back.resume();
  assertEquals(arrived(bench), "a");
});

Deno.test("Console without escape passes Ctrl-A on", NEEDS, () => {
  using fifo = new Fifo();
  using bench = open({ input: fifo.reader.number });
  fifo.put("\x01x");
  assertEquals(received(bench), "\x01x");
  assertEquals(bench.posted, []);
});

Deno.test("Console gives back buffers that are empty or of the wrong kind", NEEDS, () => {
  using fifo = new Fifo();
  using bench = open({ input: fifo.reader.number, output: fifo.writer.number });
  const receive = queueOf(bench, RECEIVE);
  const readable = receive.add([{ readable: 8 }]);
  const empty = receive.add([{ writable: 0, at: 0x1000 }]);
  bench.notify(RECEIVE);
  assertEquals(receive.used(), [{ head: readable, length: 0 }, { head: empty, length: 0 }]);
  const transmit = queueOf(bench, TRANSMIT);
  const writable = transmit.add([{ writable: 8 }]);
  bench.notify(TRANSMIT);
  assertEquals(transmit.used(), [{ head: writable, length: 0 }]);
  assertEquals(fifo.text(), "");
});

Deno.test(
  "Console goes on after a reset: output that waited comes, input goes to the new driver",
  NEEDS,
  () => {
    using input = new Fifo();
    using output = new Fifo();
    using bench = open({ input: input.reader.number, output: output.writer.number });
    output.fill();
    send(bench, "before ");
    bench.driver.status = 0;
    bench.turn();
    input.put("typed");
    assertEquals(input.text(), "typed", "nobody reads without a driver");
    bench.initialize();
    send(bench, "after");
    let text = "";
    for (let i = 0; i < 4; i++) {
      text += output.text();
      bench.turn();
    }
    assertEquals(text.replaceAll("\0", ""), "before after");
    input.put("more");
    assertEquals(received(bench), "more");
  },
);

Deno.test("Console says that output is pending until it is read", NEEDS, () => {
  using fifo = new Fifo();
  using bench = open({ output: fifo.writer.number });
  assertEquals(bench.back.pending(), false);
  fifo.fill();
  queueOf(bench, TRANSMIT).add([{ readable: new TextEncoder().encode("last words") }]);
  assertEquals(bench.back.pending(), true);
  while (fifo.take().length === PIPE_SIZE);
  bench.turn();
  assertEquals(bench.back.pending(), false);
  assertEquals(fifo.text(), "last words");
});

/** A console behind a socket of its own. */
class SocketBench implements Disposable {
  readonly #folder = Deno.makeTempDirSync({ prefix: "vireo-console-" });
  readonly path = `${this.#folder}/console`;
  readonly #listener = UnixListener.open(this.path);
  readonly bench = open({ listener: this.#listener.fd.number });

  /** Offers a buffer and waits for input in it. */
  async received(): Promise<string> {
    const queue = queueOf(this.bench, RECEIVE);
    const head = queue.add([{ writable: 64 }]);
    let length: number | undefined;
    this.bench.notify(RECEIVE);
    await turnUntil(
      () => (length = queue.used().find((used) => used.head === head)?.length) !== undefined,
      () => this.bench.turn(),
    );
    return new TextDecoder().decode(queue.written(head).subarray(0, length));
  }

  until(isSo: () => boolean): Promise<void> {
    return turnUntil(isSo, () => this.bench.turn());
  }

  [Symbol.dispose](): void {
    this.bench[Symbol.dispose]();
    this.#listener[Symbol.dispose]();
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

Deno.test(
  "Console behind a socket talks to a client, both ways, and to the next one",
  NEEDS,
  async () => {
    using socket = new SocketBench();
    {
      using client = await UnixClient.connect(socket.path);
      send(socket.bench, "login: ");
      await socket.until(() => client.text === "login: ");
      await client.send("root");
      assertEquals(await socket.received(), "root");
    }
    using next = await UnixClient.connect(socket.path);
    await next.send("again");
    assertEquals(await socket.received(), "again");
    send(socket.bench, "and again");
    await socket.until(() => next.text.endsWith("and again"));
    assertEquals(socket.bench.warnings, []);
  },
);

Deno.test("Console behind a socket serves one client at a time", NEEDS, async () => {
  using socket = new SocketBench();
  using first = await UnixClient.connect(socket.path);
  await socket.until(() => {
    send(socket.bench, ".");
    queueOf(socket.bench, TRANSMIT).used();
    return first.text !== "";
  });
  using second = await UnixClient.connect(socket.path);
  await second.send("second");
  send(socket.bench, "for the first");
  await socket.until(() => first.text.endsWith("for the first"));
  assertEquals(second.text, "");
  first[Symbol.dispose]();
  assertEquals(await socket.received(), "second");
});

Deno.test(
  "Console behind a socket keeps the newest output for a client to come, and no more",
  NEEDS,
  async () => {
    using socket = new SocketBench();
    flood(socket.bench, 2 * CONSOLE_RING_SIZE);
    send(socket.bench, "the newest");
    using client = await UnixClient.connect(socket.path);
    await socket.until(() => client.text.endsWith("the newest"));
    assert(client.text.length <= CONSOLE_KEPT_SIZE, `${client.text.length} bytes`);
    assertEquals(socket.bench.warnings, []);
  },
);

Deno.test("Console behind a socket hands on what a client sent before it went", NEEDS, async () => {
  using socket = new SocketBench();
  {
    using client = await UnixClient.connect(socket.path);
    await client.send("poweroff");
  }
  assertEquals(await socket.received(), "poweroff");
});
