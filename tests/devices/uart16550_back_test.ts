import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { UART_IER, UART_IER_RDI, UART_LSR, UART_LSR_DR } from "../../src/abi/devices.ts";
import { O_RDONLY, O_RDWR } from "../../src/abi/linux.ts";
import { Uart16550 } from "../../src/devices/uart16550.ts";
import { uart16550 } from "../../src/devices/uart16550_plan.ts";
import { Uart16550Back } from "../../src/devices/uart16550_back.ts";
import { Fd } from "../../src/host/fd.ts";
import { write } from "../../src/host/file.ts";
import { UnixListener } from "../../src/host/unix_socket.ts";
import { SharedState } from "../../src/memory/shared_state.ts";
import { libcRequirement } from "../support/libc.ts";
import { turnUntil, UnixClient } from "../support/unix_client.ts";
import { BackRig, TestPipe } from "./back_fixture.ts";
import { place, RecordingContext } from "./chip_fixture.ts";

const NEEDS = libcRequirement();
const LOG_SIZE = 128 * 1024;

/** A UART with both halves, its back running on a loop that the test turns. */
class Fixture implements Disposable {
  readonly #stack = new DisposableStack();
  readonly context = new RecordingContext(SharedState.create(256 * 1024));
  readonly rig = this.#stack.use(new BackRig(this.context));
  readonly uart: Uart16550;
  readonly back: Uart16550Back;

  constructor(
    fds: { readonly input?: number; readonly output?: number; readonly listener?: number },
  ) {
    const { input = -1, output = -1, listener = -1 } = fds;
    const plan = uart16550({
      id: "serial0",
      port: 0x3f8,
      gsi: 4,
      logSize: LOG_SIZE,
      input,
      output,
      listener,
    });
    const descriptor = this.rig.connect(place(plan, this.context));
    this.uart = new Uart16550(descriptor, this.context);
    this.back = new Uart16550Back(descriptor, this.rig);
    this.rig.start(this.back);
    this.rig.settle();
  }

  send(text: string): void {
    for (const byte of new TextEncoder().encode(text)) this.uart.write(0, 1, byte);
  }

  /** All input that the guest can read now. */
  receive(): string {
    const bytes: number[] = [];
    while ((this.uart.read(UART_LSR, 1) & UART_LSR_DR) !== 0) bytes.push(this.uart.read(0, 1));
    return String.fromCharCode(...bytes);
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

Deno.test("Uart16550Back writes out what the guest sends", NEEDS, () => {
  using pipe = new TestPipe();
  using uart = new Fixture({ output: pipe.fd.number });
  uart.send("first\n");
  uart.rig.settle();
  assertEquals(pipe.drain(), "first\n");
  uart.send("second\n");
  uart.rig.settle();
  assertEquals(pipe.drain(), "second\n");
});

Deno.test(
  "Uart16550Back behind a socket serves one client after another, and keeps the newest output",
  NEEDS,
  async () => {
    const folder = await Deno.makeTempDir({ prefix: "vireo-serial-" });
    using _folder = { [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }) };
    const path = `${folder}/serial`;
    using listener = UnixListener.open(path);
    using uart = new Fixture({ listener: listener.fd.number });
    const until = (isSo: () => boolean) => turnUntil(isSo, () => uart.rig.settle(1));
    uart.send(`${"-".repeat(2 * LOG_SIZE)}before`);
    {
      using client = await UnixClient.connect(path);
      await until(() => client.text.endsWith("before"));
      assertEquals(client.text.length, LOG_SIZE);
      uart.send(", and now");
      await until(() => client.text.endsWith("before, and now"));
      await client.send("typed");
      await until(() => (uart.uart.read(UART_LSR, 1) & UART_LSR_DR) !== 0);
      assertEquals(uart.receive(), "typed");
    }
    uart.rig.settle();
    uart.send("between");
    using next = await UnixClient.connect(path);
    await until(() => next.text !== "");
    assertEquals(next.text, "between");
    await next.send("again");
    await until(() => (uart.uart.read(UART_LSR, 1) & UART_LSR_DR) !== 0);
    assertEquals(uart.receive(), "again");
  },
);

Deno.test("Uart16550Back writes out what was sent before it came up", NEEDS, () => {
  using pipe = new TestPipe();
  using uart = new Fixture({ output: pipe.fd.number });
  uart.back.drain();
  uart.send("early");
  uart.rig.settle();
  assertEquals(pipe.drain(), "");
  uart.back.resume();
  uart.rig.settle();
  assertEquals(pipe.drain(), "early");
});

Deno.test(
  "Uart16550Back drops the oldest output of a pipe that nobody reads, and waits for nobody",
  NEEDS,
  () => {
    using pipe = new TestPipe();
    using uart = new Fixture({ output: pipe.fd.number });
    const line = "0123456789abcde\n";
    for (let i = 0; i < 20_000; i++) uart.send(line);
    uart.rig.settle();
    let text = pipe.drain();
    assertEquals(text.length, 65536);
    for (;;) {
      uart.rig.settle(1);
      const more = pipe.drain();
      if (more === "") break;
      text += more;
    }
    assert(text.length <= 65536 + LOG_SIZE && text.length >= LOG_SIZE, `${text.length} bytes`);
    assert(text.endsWith(line));
  },
);

Deno.test("Uart16550Back writes into a regular file", NEEDS, () => {
  const path = Deno.makeTempFileSync({ prefix: "vireo-serial-" });
  try {
    using file = Fd.open(path, O_RDWR);
    using uart = new Fixture({ output: file.number });
    uart.send("x".repeat(100_000));
    uart.rig.settle();
    assertEquals(Deno.readTextFileSync(path), "x".repeat(100_000));
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("Uart16550Back gives up on output that fails, and says so once", NEEDS, () => {
  using full = Fd.open("/dev/full", O_RDWR);
  using uart = new Fixture({ output: full.number });
  uart.send("lost");
  uart.rig.settle();
  uart.send("lost as well");
  uart.rig.settle();
  assertEquals(uart.context.warnings.length, 1);
  assertStringIncludes(uart.context.warnings[0] ?? "", "ENOSPC");
});

Deno.test("Uart16550Back writes out the last words when it is closed", NEEDS, () => {
  using pipe = new TestPipe();
  using uart = new Fixture({ output: pipe.fd.number });
  uart.send("Kernel panic");
  uart.back.close();
  assertEquals(pipe.drain(), "Kernel panic");
});

Deno.test("Uart16550Back feeds input and interrupts when the guest wants that", NEEDS, () => {
  using pipe = new TestPipe();
  using uart = new Fixture({ input: pipe.fd.number });
  write(pipe.fd.number, new TextEncoder().encode("polled"));
  uart.rig.settle();
  assertEquals(uart.context.takePulses(), 0);
  assertEquals(uart.receive(), "polled");
  uart.uart.write(UART_IER, 1, UART_IER_RDI);
  write(pipe.fd.number, new TextEncoder().encode("by interrupt"));
  uart.rig.settle();
  assertEquals(uart.context.takePulses(), 1);
  assertEquals(uart.receive(), "by interrupt");
});

Deno.test(
  "Uart16550Back reads no more than the guest takes, and all of it in the end",
  NEEDS,
  () => {
    using pipe = new TestPipe();
    using uart = new Fixture({ input: pipe.fd.number });
    const text = Array.from({ length: 3000 }, (_, i) => String.fromCharCode(97 + i % 26)).join("");
    write(pipe.fd.number, new TextEncoder().encode(text));
    uart.rig.settle();
    const first = uart.receive();
    assertEquals(first.length, 1008, "the ring, but 16 bytes");
    let received = first;
    for (let turn = 0; turn < 5; turn++) {
      uart.rig.settle();
      received += uart.receive();
    }
    assertEquals(received, text);
  },
);

Deno.test("Uart16550Back stops at the end of its input", NEEDS, () => {
  using nothing = Fd.open("/dev/null", O_RDONLY);
  using uart = new Fixture({ input: nothing.number });
  assertEquals(uart.rig.loop.runOnce(0), 0, "an always ready descriptor would come again");
  assertEquals(uart.receive(), "");
});

Deno.test("Uart16550Back forgets the registers at reset, not the log", NEEDS, () => {
  using pipe = new TestPipe();
  using uart = new Fixture({ output: pipe.fd.number, input: pipe.fd.number });
  uart.uart.write(UART_IER, 1, 0x0f);
  uart.back.reset();
  assertEquals(uart.uart.read(UART_IER, 1), 0);
  uart.back.activate();
  uart.rig.settle();
});
