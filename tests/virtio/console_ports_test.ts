import { assert, assertEquals } from "@std/assert";
import { O_RDWR } from "../../src/abi/linux.ts";
import {
  VIRTIO_CONSOLE_DEVICE_READY,
  VIRTIO_CONSOLE_F_MULTIPORT,
  VIRTIO_CONSOLE_PORT_OPEN,
  VIRTIO_CONSOLE_PORT_READY,
} from "../../src/abi/virtio_devices.ts";
import { Fd } from "../../src/host/fd.ts";
import { consolePortsSpec } from "../../src/virtio/console_ports.ts";
import { Fifo, PIPE_SIZE } from "../support/fifo.ts";
import { PortsFixture } from "../support/ports_fixture.ts";
import { Random } from "../support/random.ts";
import { requirement } from "../support/require.ts";

const NEEDS = requirement("ffi");

Deno.test("consolePortsSpec() has a pair of queues a port and one for control", () => {
  const { queueSizes, features, config } = consolePortsSpec(3);
  assertEquals(queueSizes, [64, 64, 32, 32, 64, 64, 64, 64]);
  assertEquals(features, [VIRTIO_CONSOLE_F_MULTIPORT]);
  assertEquals(config?.[4], 3);
});

Deno.test("ConsolePorts tells of its ports, opens each before it has a name", NEEDS, () => {
  using fixture = new PortsFixture({ name: "vireo.stdin" }, { name: "vireo.stdout" });
  assertEquals(fixture.news(), []);
  fixture.control(0xffff_ffff, VIRTIO_CONSOLE_DEVICE_READY, 1);
  assertEquals(fixture.news(), ["add 0", "add 1"]);
  fixture.control(1, VIRTIO_CONSOLE_PORT_READY, 1);
  fixture.control(0, VIRTIO_CONSOLE_PORT_READY, 1);
  assertEquals(fixture.news(), [
    "open 1 1",
    "name 1 vireo.stdout",
    "open 0 1",
    "name 0 vireo.stdin",
  ]);
});

Deno.test("ConsolePorts keeps its news until the driver has buffers for them", NEEDS, () => {
  using fixture = new PortsFixture({ name: "a" }, { name: "b" });
  for (let i = 0; i < 1000; i++) fixture.control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
  assertEquals(fixture.news(1), ["add 0"]);
  assertEquals(fixture.news(1), ["add 1"]);
  assertEquals(fixture.news(), []);
});

Deno.test(
  "ConsolePorts gives input to an open port only, for Linux throws other input away",
  NEEDS,
  () => {
    using fifo = new Fifo();
    using fixture = new PortsFixture({ name: "in", input: fifo.reader.number });
    fixture.control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    fixture.control(0, VIRTIO_CONSOLE_PORT_READY, 1);
    fifo.put("early");
    fixture.offer(0);
    assertEquals(fixture.text(0), "");
    fixture.control(0, VIRTIO_CONSOLE_PORT_OPEN, 1);
    assertEquals(fixture.text(0), "early");
    fixture.control(0, VIRTIO_CONSOLE_PORT_OPEN, 0);
    fixture.offer(0);
    fifo.put("late");
    assertEquals(fixture.text(0), "");
    fixture.control(0, VIRTIO_CONSOLE_PORT_OPEN, 1);
    assertEquals(fixture.text(0), "late");
  },
);

Deno.test("ConsolePorts says the end of input after all of the input", NEEDS, () => {
  using fifo = new Fifo();
  using fixture = new PortsFixture({ name: "in", input: fifo.reader.number });
  fixture.setUp(1);
  fifo.put("all");
  fifo.writer.close();
  assertEquals(fixture.news(), []);
  fixture.offer(0);
  assertEquals(fixture.text(0), "all");
  fixture.offer(0);
  assertEquals(fixture.news(), ["open 0 0"]);
  assertEquals(fixture.text(0), "");
});

Deno.test("ConsolePorts says the end of /dev/null and of a file", NEEDS, () => {
  const path = Deno.makeTempFileSync();
  try {
    Deno.writeTextFileSync(path, "file");
    using file = Fd.open(path, O_RDWR);
    using nothing = Fd.open("/dev/null", O_RDWR);
    using fixture = new PortsFixture({ name: "a", input: nothing.number }, {
      name: "b",
      input: file.number,
    });
    fixture.setUp(2);
    fixture.offer(0);
    fixture.offer(1);
    fixture.offer(1);
    assertEquals([fixture.text(0), fixture.text(1)], ["", "file"]);
    assertEquals(fixture.news(), ["open 0 0", "open 1 0"]);
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("ConsolePorts keeps a port with an output open at its input's end", NEEDS, () => {
  using input = new Fifo();
  using output = new Fifo();
  using fixture = new PortsFixture({
    name: "both",
    input: input.reader.number,
    output: output.writer.number,
  });
  fixture.setUp(1);
  input.writer.close();
  fixture.offer(0);
  assertEquals(fixture.news(), []);
  assert(fixture.send(0, "still writable"));
  assertEquals(output.text(), "still writable");
});

Deno.test(
  "ConsolePorts pushes back: a buffer returns when the host has taken all of it",
  NEEDS,
  () => {
    using fifo = new Fifo();
    using fixture = new PortsFixture({ name: "out", output: fifo.writer.number });
    fixture.setUp(1);
    const bytes = new Random(1).bytes(PIPE_SIZE + 1000);
    assertEquals(fixture.send(0, bytes), false);
    assertEquals(fixture.send(0, "next"), false);
    const first = fifo.take();
    fixture.bench.turn();
    const rest = fifo.take();
    assertEquals(Uint8Array.of(...first, ...rest.subarray(0, 1000)), bytes);
    assertEquals(fixture.queue(1).used().length, 2);
    // The mock puts all output in one place: the second buffer's content is the newer one.
    assertEquals(new TextDecoder().decode(rest.subarray(1000)), "next");
  },
);

Deno.test(
  "ConsolePorts carries 3 MB of random bytes out, whatever the reader's pace",
  NEEDS,
  () => {
    using fifo = new Fifo();
    using fixture = new PortsFixture({ name: "out", output: fifo.writer.number });
    fixture.setUp(1);
    const random = new Random(2);
    const bytes = random.bytes(3_000_000);
    const seen = new Uint8Array(bytes.length);
    let sent = 0;
    let read = 0;
    let busy = false;
    while (read < bytes.length) {
      if (!busy && sent < bytes.length) {
        const size = random.between(1, 32768);
        busy = !fixture.send(0, bytes.subarray(sent, sent + size));
        sent = Math.min(bytes.length, sent + size);
      }
      const part = fifo.take(random.between(1, 50000));
      seen.set(part, read);
      read += part.length;
      fixture.bench.turn();
      if (fixture.queue(1).used().length > 0) busy = false;
    }
    assert(seen.every((byte, i) => byte === bytes[i]));
  },
);

Deno.test("ConsolePorts carries 3 MB of random bytes in, whatever the buffers", NEEDS, () => {
  using fifo = new Fifo();
  using fixture = new PortsFixture({ name: "in", input: fifo.reader.number });
  fixture.setUp(1);
  const random = new Random(3);
  const bytes = random.bytes(3_000_000);
  const queue = fixture.queue(0);
  let put = 0;
  let got = 0;
  while (got < bytes.length) {
    put += fifo.put(bytes.slice(put, put + random.between(1, 70000)));
    const heads = Array.from(
      { length: random.between(1, 30) },
      (_, i) => queue.add([{ writable: random.between(1, 4096), at: 0xc000_0000 + i * 4096 }]),
    );
    fixture.bench.notify(0);
    let used = queue.used();
    // More input than was asked for so far: buffers that did not come back wait for it.
    while (used.length < heads.length && put < bytes.length) {
      used.forEach(compare);
      put += fifo.put(bytes.slice(put, put + 70000));
      fixture.bench.turn();
      heads.splice(0, used.length);
      used = queue.used();
    }
    used.forEach(compare);
  }
  assertEquals(got, bytes.length);

  function compare({ head, length }: { head: number; length: number }): void {
    const part = queue.written(head).subarray(0, length);
    assert(part.every((byte, i) => byte === bytes[got + i]), `bytes from ${got} on`);
    got += length;
  }
});

Deno.test("ConsolePorts moves bytes of every value through sockets", NEEDS, async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/socket`;
  using listener = Deno.listen({ transport: "unix", path });
  const before = sockets();
  using client = await Deno.connect({ transport: "unix", path });
  using _server = await listener.accept();
  const [fd] = sockets().filter((number) => !before.includes(number));
  assert(fd !== undefined);
  using fixture = new PortsFixture({ name: "both", input: fd, output: fd });
  fixture.setUp(1);
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  const near = fd === Math.min(...sockets().filter((number) => !before.includes(number)))
    ? _server
    : client;
  assert(fixture.send(0, all));
  const seen = new Uint8Array(512);
  assertEquals(await near.read(seen), 256);
  assertEquals(seen.slice(0, 256), all);
  await near.write(all);
  fixture.offer(0, 512);
  assertEquals(fixture.arrived(0), all);
  await Deno.remove(folder, { recursive: true });
});

/** Descriptors of this process that are sockets, ascending. */
function sockets(): number[] {
  return [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => Number(name))
    .filter((fd) => link(fd).startsWith("socket:")).sort((a, b) => a - b);
}

function link(fd: number): string {
  try {
    return Deno.readLinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "";
  }
}

Deno.test(
  "ConsolePorts removes a port whose reader has gone, and its writers go on to their error",
  NEEDS,
  () => {
    using fifo = new Fifo();
    using fixture = new PortsFixture({ name: "out", output: fifo.writer.number });
    fixture.setUp(1);
    assert(fixture.send(0, "read"));
    fifo.reader.close();
    assert(fixture.send(0, "unread"));
    assertEquals(fixture.news(), ["remove 0"]);
    assert(fixture.send(0, "more"));
    assertEquals(fixture.bench.warnings, []);
    fixture.bench.driver.status = 0;
    fixture.bench.initialize();
    fixture.control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    assertEquals(fixture.news(), []);
  },
);

Deno.test("ConsolePorts says why a port is removed whose output fails", NEEDS, () => {
  using full = Fd.open("/dev/full", O_RDWR);
  using fixture = new PortsFixture({ name: "out", output: full.number });
  fixture.setUp(1);
  assert(fixture.send(0, "no room"));
  assertEquals(fixture.news(), ["remove 0"]);
  assertEquals(fixture.bench.warnings, [
    "Port out: Cannot write output any more, the port is removed: ENOSPC (no space left on device)",
  ]);
  assertEquals(fixture.bench.posted, [
    { port: "out", lost: "ENOSPC (no space left on device)" },
  ]);
});

Deno.test("ConsolePorts posts the lines of a control port, cut at 4096 bytes", NEEDS, () => {
  using fixture = new PortsFixture({ name: "vireo.control", control: true });
  fixture.setUp(1);
  assert(fixture.send(0, "ready\nexit "));
  assert(fixture.send(0, "3\n" + "x".repeat(5000) + "\n"));
  assertEquals(fixture.bench.posted, [
    { port: "vireo.control", line: "ready" },
    { port: "vireo.control", line: "exit 3" },
    { port: "vireo.control", line: "x".repeat(4096) },
  ]);
});

Deno.test(
  "ConsolePorts passes on a bounded number of lines, whatever the guest sends",
  NEEDS,
  () => {
    using fixture = new PortsFixture({ name: "vireo.control", control: true });
    fixture.setUp(1);
    for (let i = 0; i < 10; i++) assert(fixture.send(0, "\n".repeat(30000)));
    const { length } = fixture.bench.posted;
    assert(length >= 1024 && length < 10_000, `${length} lines`);
  },
);

Deno.test(
  "ConsolePorts writes what was sent before a reset, and what comes after it then",
  NEEDS,
  () => {
    using fifo = new Fifo();
    using fixture = new PortsFixture({ name: "out", output: fifo.writer.number });
    fixture.setUp(1);
    const bytes = new Random(4).bytes(100_000);
    assertEquals(fixture.send(0, bytes), false);
    fixture.queue(1).add([{ readable: new TextEncoder().encode("last words") }]);
    fixture.bench.driver.status = 0;
    fixture.bench.memory.write(0xc000_0000, new Uint8Array(100_000));
    fixture.bench.initialize();
    fixture.setUp(1);
    assertEquals(fixture.send(0, "new"), false);
    const seen: number[] = [];
    for (let i = 0; i < 10; i++) {
      seen.push(...fifo.take());
      fixture.bench.turn();
    }
    assertEquals(Uint8Array.from(seen.slice(0, bytes.length)), bytes);
    const rest = Uint8Array.from(seen.slice(bytes.length));
    assertEquals(new TextDecoder().decode(rest), "last wordsnew");
  },
);

Deno.test("ConsolePorts keeps 8 MiB over any number of resets, and no more", NEEDS, () => {
  using fifo = new Fifo();
  const fixture = new PortsFixture({ name: "out", output: fifo.writer.number });
  fifo.fill();
  for (let reset = 0; reset < 5; reset++) {
    for (let i = 0; i < 4; i++) fixture.send(0, new Uint8Array(2 ** 20));
    fixture.bench.driver.status = 0;
    fixture.bench.initialize();
  }
  fixture[Symbol.dispose]();
  assertEquals(fixture.bench.warnings, [
    "Port out: 8388608 bytes of output are lost: nobody read them in time",
  ]);
});

Deno.test("ConsolePorts lets other devices in between however long a chain is", NEEDS, () => {
  using nowhere = Fd.open("/dev/null", O_RDWR);
  using fixture = new PortsFixture({ name: "out", output: nowhere.number });
  fixture.setUp(1);
  const queue = fixture.queue(1);
  const head = queue.add(
    Array.from({ length: 8 }, () => ({ readable: 2 ** 20, at: 0xc000_0000 })),
  );
  fixture.bench.signal(fixture.bench.descriptor, "notify1");
  let turns = 0;
  for (; queue.usedIdx === 0 && turns < 100; turns++) fixture.bench.loop.runOnce(0);
  assertEquals([turns, queue.used()], [8, [{ head, length: 0 }]]);
});

Deno.test("ConsolePorts says that output is pending until the host has taken it", NEEDS, () => {
  using fifo = new Fifo();
  using fixture = new PortsFixture({ name: "a" }, { name: "out", output: fifo.writer.number });
  fixture.setUp(2);
  assertEquals(fixture.bench.back.pending(), false);
  fifo.fill();
  fixture.queue(5).add([{ readable: new TextEncoder().encode("words") }]);
  assertEquals(fixture.bench.back.pending(), true);
  while (fifo.take().length > 0);
  fixture.bench.turn();
  assertEquals(fixture.bench.back.pending(), false);
  assertEquals(fifo.text(), "words");
});

Deno.test("ConsolePorts says how much is lost when it closes before all is read", NEEDS, () => {
  using fifo = new Fifo();
  const fixture = new PortsFixture({ name: "out", output: fifo.writer.number });
  fixture.setUp(1);
  fifo.fill();
  fixture.send(0, "unread");
  fixture[Symbol.dispose]();
  assertEquals(fixture.bench.warnings, [
    "Port out: 6 bytes of output are lost: nobody read them in time",
  ]);
});

Deno.test(
  "ConsolePorts survives control messages that are short, unknown, or for no port",
  NEEDS,
  () => {
    using fixture = new PortsFixture({ name: "a" });
    fixture.setUp(1);
    fixture.controlBytes(new Uint8Array(7));
    fixture.control(0, 99, 1);
    fixture.control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    fixture.control(0xffff_fffe, VIRTIO_CONSOLE_PORT_READY, 1);
    fixture.control(0, VIRTIO_CONSOLE_DEVICE_READY, 0);
    assertEquals(fixture.bench.warnings, [
      "Driver sent a control message of 7 bytes",
      "Driver sent unknown control event 99",
      "Driver sent control event 6 for port 1, which is none",
      "Driver sent control event 3 for port 4294967294, which is none",
      "Driver could not set the console up",
    ]);
    assertEquals(fixture.news(), []);
  },
);

Deno.test("ConsolePorts without MULTIPORT is its first port", NEEDS, () => {
  using fifo = new Fifo();
  using output = new Fifo();
  using fixture = new PortsFixture({
    name: "a",
    input: fifo.reader.number,
    output: output.writer.number,
  });
  fixture.bench.driver.status = 0;
  fixture.bench.initialize({ features: [] });
  fifo.put("in");
  fixture.offer(0);
  assertEquals(fixture.text(0), "in");
  assert(fixture.send(0, "out"));
  assertEquals(output.text(), "out");
});

Deno.test("ConsolePorts goes on from what a snapshot kept", NEEDS, () => {
  using fifo = new Fifo();
  using fixture = new PortsFixture({ name: "a", input: fifo.reader.number });
  fixture.setUp(1);
  const saved = fixture.bench.back.save(1);
  fixture.control(0, VIRTIO_CONSOLE_PORT_OPEN, 0);
  fixture.bench.back.restore(1, saved);
  fifo.put("open again");
  fixture.offer(0);
  assertEquals(fixture.text(0), "open again");
});
