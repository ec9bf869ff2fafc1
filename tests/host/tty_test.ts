import { assertEquals } from "@std/assert";
import { EAGAIN, O_RDWR } from "../../src/abi/linux.ts";
import { Fd } from "../../src/host/fd.ts";
import { SharedStream } from "../../src/host/tty.ts";
import { Fifo, PIPE_SIZE } from "../support/fifo.ts";
import { libcRequirement } from "../support/libc.ts";

const needs = libcRequirement();
const PROGRAM = new URL("../guests/shared_stream_program.ts", import.meta.url).pathname;
const RUN = `${Deno.execPath()} run -A --no-check ${PROGRAM}`;

/** Runs a shell command; gives what it printed. */
async function shell(command: string): Promise<string> {
  const result = await new Deno.Command("bash", { args: ["-c", command], stdin: "null" }).output();
  return new TextDecoder().decode(result.stdout).trim();
}

Deno.test("SharedStream of a pty leaves O_NONBLOCK alone", needs, async () => {
  const text = await shell(
    `script -qec '${RUN} describe 2>/dev/null' /dev/null`,
  );
  assertEquals(JSON.parse(text), {
    mode: "nonblocking",
    terminal: true,
    nonblocking: false,
  });
});

Deno.test("SharedStream of a pipe is opened again, not switched", needs, async () => {
  const expected = { mode: "nonblocking", terminal: false, nonblocking: false };
  assertEquals(JSON.parse(await shell(`sleep 0 | ${RUN} describe`)), expected);
});

Deno.test("SharedStream of a pseudo-terminal's master is not opened again", needs, () => {
  using master = Fd.open("/dev/ptmx", O_RDWR);
  using stream = SharedStream.of(master.number);
  assertEquals(stream.mode, "polled");
  assertEquals(stream.read(new Uint8Array(1)), -EAGAIN);
});

Deno.test("SharedStream of a file keeps the file's position", needs, async () => {
  const path = await Deno.makeTempFile();
  await shell(`{ echo first; echo second | ${RUN} copy; echo third; } > ${path}`);
  assertEquals(await Deno.readTextFile(path), "first\nsecond\nthird\n");
  await Deno.remove(path);
});

Deno.test("SharedStream of a socket copies both ways", needs, async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const child = shell(`exec 3<>/dev/tcp/127.0.0.1/${listener.addr.port}; ${RUN} copy <&3 >&3`);
  const connection = await listener.accept();
  const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251);
  const back = new Response(connection.readable).arrayBuffer();
  const writer = connection.writable.getWriter();
  await writer.write(bytes);
  await connection.closeWrite();
  assertEquals(new Uint8Array(await back), bytes);
  assertEquals(await child, "");
});

Deno.test("SharedStream copies megabytes through pipes", needs, async () => {
  const sum = await shell(`head -c 3000000 /dev/zero | ${RUN} copy | wc -c`);
  assertEquals(sum, "3000000");
});

Deno.test("SharedStream.write() to a full pipe gives EAGAIN", needs, async () => {
  const path = await Deno.makeTempDir();
  await shell(`mkfifo ${path}/pipe`);
  using pipe = Fd.open(`${path}/pipe`, O_RDWR);
  using stream = SharedStream.of(pipe.number);
  const bytes = new Uint8Array(65536);
  assertEquals(stream.read(bytes), -EAGAIN);
  assertEquals(stream.write(bytes), 65536);
  assertEquals(stream.write(bytes), -EAGAIN);
  await Deno.remove(path, { recursive: true });
});

Deno.test(
  "SharedStream.writeAll() writes what is read, and gives up where nobody does",
  needs,
  () => {
    using fifo = new Fifo();
    using stream = SharedStream.of(fifo.writer.number);
    const bytes = new Uint8Array(PIPE_SIZE + 100).fill(7);
    const before = performance.now();
    assertEquals(stream.writeAll(bytes, 50), PIPE_SIZE);
    assertEquals(performance.now() - before >= 49, true);
    assertEquals(fifo.take(1000).length, 1000);
    fifo.reader.close();
    assertEquals(stream.writeAll(bytes, 10_000), 0);
  },
);

Deno.test("SharedStream of /dev/null reads its end and swallows writes", needs, () => {
  using nothing = Fd.open("/dev/null", O_RDWR);
  using stream = SharedStream.of(nothing.number);
  assertEquals([stream.read(new Uint8Array(1)), stream.write(new Uint8Array(9))], [0, 9]);
});
