import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  UART_FCR,
  UART_FCR_CLEAR_RCVR,
  UART_FCR_ENABLE_FIFO,
  UART_IER,
  UART_IER_MSI,
  UART_IER_RDI,
  UART_IER_RLSI,
  UART_IER_THRI,
  UART_IIR,
  UART_IIR_NO_INT,
  UART_LCR,
  UART_LCR_DLAB,
  UART_LSR,
  UART_LSR_DR,
  UART_LSR_OE,
  UART_LSR_TEMT,
  UART_LSR_THRE,
  UART_MCR,
  UART_MCR_LOOP,
  UART_MSR,
  UART_RX,
  UART_SCR,
  UART_TX,
} from "../../src/abi/devices.ts";
import { VireoError } from "../../src/base/errors.ts";
import { serialLog } from "../../src/devices/serial_log.ts";
import { Uart16550 } from "../../src/devices/uart16550.ts";
import { uart16550, type UartOptions } from "../../src/devices/uart16550_plan.ts";
import { UartBlock, UartState } from "../../src/devices/uart16550_state.ts";
import { fuzz } from "../support/random.ts";
import { place, RecordingContext } from "./chip_fixture.ts";

const IDLE = UART_LSR_THRE | UART_LSR_TEMT;

class Fixture {
  readonly context = new RecordingContext();
  readonly descriptor;
  readonly uart: Uart16550;
  readonly block: UartBlock;

  constructor(options: Partial<UartOptions> = {}) {
    const logSize = options.logSize ?? 64;
    const plan = uart16550({
      id: "serial0",
      port: 0x3f8,
      gsi: 4,
      input: -1,
      output: -1,
      ...options,
      logSize,
    });
    this.descriptor = place(plan, this.context);
    this.uart = new Uart16550(this.descriptor, this.context);
    this.block = new UartBlock(this.context.state, this.descriptor.state, logSize);
  }

  in(offset: number): number {
    return this.uart.read(offset, 1);
  }

  out(offset: number, value: number): void {
    this.uart.write(offset, 1, value);
  }

  send(text: string): void {
    for (const byte of new TextEncoder().encode(text)) this.out(UART_TX, byte);
  }

  /** Input from the back. */
  feed(count: number, first = 1): void {
    for (let i = 0; i < count; i++) this.block.pushInput(first + i);
  }

  /** What is kept of what was sent. */
  log(): string {
    return new TextDecoder().decode(serialLog(this.context.state, this.descriptor));
  }
}

Deno.test("Uart16550 is idle after power-on", () => {
  const uart = new Fixture();
  assertEquals(uart.in(UART_LSR), IDLE);
  assertEquals(uart.in(UART_IIR), 0x01);
  assertEquals(uart.in(UART_IER), 0);
  assertEquals(uart.in(UART_MSR), 0xb0);
  assertEquals(uart.context.pulses, 0);
});

Deno.test("Uart16550 keeps what is sent and stays ready for more", () => {
  const uart = new Fixture();
  uart.send("hello");
  assertEquals(uart.in(UART_LSR), IDLE);
  assertEquals(uart.log(), "hello");
  assertEquals(uart.context.pulses, 0);
});

Deno.test("Uart16550 shows the divisor instead of data while DLAB is set", () => {
  const uart = new Fixture();
  uart.out(UART_IER, 0);
  uart.out(UART_LCR, UART_LCR_DLAB | 3);
  uart.out(0, 0x0c);
  uart.out(1, 0x34);
  assertEquals([uart.in(0), uart.in(1)], [0x0c, 0x34]);
  uart.out(UART_LCR, 3);
  assertEquals(uart.in(UART_LCR), 3);
  assertEquals(uart.in(UART_IER), 0);
  assertEquals(uart.log(), "");
});

Deno.test("Uart16550 sends at a divisor of 0 as at any other", () => {
  const uart = new Fixture();
  uart.out(UART_LCR, UART_LCR_DLAB | 3);
  uart.out(0, 0);
  uart.out(1, 0);
  uart.out(UART_LCR, 3);
  uart.out(0, 65);
  assertEquals(uart.log(), "A");
});

Deno.test("Uart16550 has a scratch register", () => {
  const uart = new Fixture();
  uart.out(UART_SCR, 0xa5);
  assertEquals(uart.in(UART_SCR), 0xa5);
});

Deno.test("Uart16550 keeps four bits of IER and five of MCR", () => {
  const uart = new Fixture();
  uart.out(UART_IER, 0xff);
  uart.out(UART_MCR, 0xff);
  assertEquals([uart.in(UART_IER), uart.in(UART_MCR)], [0x0f, 0x1f]);
});

Deno.test("Uart16550 identifies itself as a 16550A by its FIFO bits", () => {
  const uart = new Fixture();
  uart.out(UART_FCR, UART_FCR_ENABLE_FIFO);
  assertEquals(uart.in(UART_IIR), 0xc1);
  uart.out(UART_FCR, 0);
  assertEquals(uart.in(UART_IIR), 0x01);
});

Deno.test("Uart16550 raises THRE when its interrupt is enabled, each time anew", () => {
  const uart = new Fixture();
  uart.out(UART_IER, UART_IER_THRI);
  assertEquals(uart.context.takePulses(), 1);
  assertEquals(uart.in(UART_IIR), 0x02);
  assertEquals(uart.in(UART_IIR), 0x01, "reading IIR takes the interrupt away");
  uart.out(UART_IER, 0);
  uart.out(UART_IER, UART_IER_THRI);
  assertEquals(uart.context.takePulses(), 1);
  assertEquals(uart.in(UART_IIR), 0x02);
});

Deno.test("Uart16550 raises THRE once for bytes sent before the guest looks", () => {
  const uart = new Fixture();
  uart.out(UART_IER, UART_IER_THRI);
  uart.in(UART_IIR);
  uart.context.takePulses();
  uart.send("sixteen bytes...");
  assertEquals(uart.context.takePulses(), 1);
  assertEquals(uart.in(UART_IIR), 0x02);
  uart.send("x");
  assertEquals(uart.context.takePulses(), 1);
});

Deno.test("Uart16550 gives input in order and says when there is none", () => {
  const uart = new Fixture();
  uart.feed(3);
  assertEquals(uart.in(UART_LSR), IDLE | UART_LSR_DR);
  assertEquals([uart.in(UART_RX), uart.in(UART_RX), uart.in(UART_RX)], [1, 2, 3]);
  assertEquals(uart.in(UART_LSR), IDLE);
  assertEquals(uart.in(UART_RX), 0);
});

Deno.test("Uart16550 tells a full FIFO from a character timeout by the trigger level", () => {
  const levels = [[0x01, 1], [0x41, 4], [0x81, 8], [0xc1, 14]] as const;
  for (const [fcr, trigger] of levels) {
    const uart = new Fixture();
    uart.out(UART_FCR, fcr);
    uart.out(UART_IER, UART_IER_RDI);
    uart.feed(trigger);
    assertEquals(uart.in(UART_IIR), 0xc4, `trigger ${trigger}`);
    uart.in(UART_RX);
    assertEquals(uart.in(UART_IIR), trigger === 1 ? 0xc1 : 0xcc, `below ${trigger}`);
  }
});

Deno.test("Uart16550 pulses again for input that is left after a read", () => {
  const uart = new Fixture();
  uart.feed(2);
  uart.out(UART_IER, UART_IER_RDI);
  assertEquals(uart.context.takePulses(), 1, "enabled with input waiting");
  uart.in(UART_RX);
  assertEquals(uart.context.takePulses(), 1, "one byte left");
  uart.in(UART_RX);
  assertEquals(uart.context.takePulses(), 0, "none left");
});

Deno.test("Uart16550 drops at most a FIFO's worth of input when told to clear it", () => {
  const uart = new Fixture();
  uart.out(UART_FCR, UART_FCR_ENABLE_FIFO);
  uart.feed(20);
  uart.out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
  assertEquals(uart.in(UART_RX), 17);
});

Deno.test("Uart16550 orders its causes: line status, data, transmitter, modem", () => {
  const uart = new Fixture();
  uart.out(UART_MCR, UART_MCR_LOOP);
  uart.send("ab");
  uart.out(UART_IER, UART_IER_RLSI | UART_IER_RDI | UART_IER_THRI | UART_IER_MSI);
  assertEquals(uart.in(UART_IIR), 0x06);
  assertEquals(uart.in(UART_LSR), IDLE | UART_LSR_DR | UART_LSR_OE);
  assertEquals(uart.in(UART_IIR), 0x04);
  assertEquals(uart.in(UART_RX), 0x61);
  assertEquals(uart.in(UART_IIR), 0x02);
  assertEquals(uart.in(UART_IIR), 0x00);
  assertEquals(uart.in(UART_MSR) & 0x0f, 0x0b);
  assertEquals(uart.in(UART_IIR), 0x01);
});

Deno.test("Uart16550 loops modem lines back as Linux looks for them", () => {
  const uart = new Fixture();
  uart.out(UART_MCR, UART_MCR_LOOP | 0x0a);
  assertEquals(uart.in(UART_MSR) & 0xf0, 0x90);
  uart.out(UART_MCR, UART_MCR_LOOP | 0x05);
  assertEquals(uart.in(UART_MSR) & 0xf0, 0x60);
});

Deno.test("Uart16550 counts the ring indicator at its end only", () => {
  const uart = new Fixture();
  uart.out(UART_MCR, UART_MCR_LOOP);
  uart.in(UART_MSR);
  uart.out(UART_MCR, UART_MCR_LOOP | 0x04);
  assertEquals(uart.in(UART_MSR), 0x40);
  uart.out(UART_MCR, UART_MCR_LOOP);
  assertEquals(uart.in(UART_MSR), 0x04);
});

Deno.test("Uart16550 keeps looped bytes out of the log and overruns at 16", () => {
  const uart = new Fixture();
  uart.out(UART_FCR, UART_FCR_ENABLE_FIFO);
  uart.out(UART_MCR, UART_MCR_LOOP);
  uart.send("0123456789abcdef");
  assertEquals(uart.in(UART_LSR) & UART_LSR_OE, 0);
  uart.send("x");
  assertEquals(uart.in(UART_LSR) & UART_LSR_OE, UART_LSR_OE);
  assertEquals(uart.in(UART_LSR) & UART_LSR_OE, 0);
  assertEquals(uart.in(UART_RX), "0".charCodeAt(0));
  assertEquals(uart.log(), "");
});

Deno.test("Uart16550 reports a lost interrupt's cause again at the next change", () => {
  const uart = new Fixture();
  uart.out(UART_IER, UART_IER_RDI | UART_IER_THRI);
  uart.feed(1);
  uart.context.takePulses();
  assertEquals(uart.in(UART_IIR), 0x04);
  uart.in(UART_RX);
  assertEquals(uart.context.takePulses(), 1, "THRE was pending below the data");
  assertEquals(uart.in(UART_IIR), 0x02);
});

Deno.test("Uart16550 splits wide accesses into bytes", () => {
  const uart = new Fixture();
  uart.uart.write(UART_MSR, 2, 0xa55a);
  assertEquals(uart.in(UART_SCR), 0xa5);
  assertEquals(uart.uart.read(UART_LSR, 2), IDLE + 0xb0 * 256);
});

Deno.test("Uart16550 wakes a back that sleeps, once, when there is output", () => {
  const uart = new Fixture({ output: 1 });
  uart.send("a");
  assertEquals(uart.context.signals, [], "the back does not sleep yet");
  uart.block.setWord(UartState.output_waiting, 1);
  uart.send("bc");
  assertEquals(uart.context.signals, ["notify"]);
});

Deno.test("Uart16550 wakes a back that waits for room when half of the ring is free", () => {
  const uart = new Fixture({ input: 0 });
  uart.feed(1000);
  uart.block.setWord(UartState.input_waiting, 1);
  for (let i = 0; i < 487; i++) uart.in(UART_RX);
  assertEquals(uart.context.signals, []);
  uart.in(UART_RX);
  assertEquals(uart.context.signals, ["notify"]);
});

Deno.test("uart16550() has a back only where there is something to talk to", () => {
  const at = { id: "serial0", port: 0x3f8, gsi: 4 };
  assertEquals(uart16550({ ...at, input: -1, output: -1 }).back, "none");
  assertEquals(uart16550({ ...at, input: -1, output: 2 }).back, "shared");
  assertEquals(uart16550({ ...at, input: 0, output: -1 }).events, ["notify"]);
});

Deno.test("uart16550() refuses a log whose size is no power of two", () => {
  for (const logSize of [0, 100, 0.5, NaN]) {
    assertThrows(() => new Fixture({ logSize }), VireoError, "power of two");
  }
});

Deno.test("serialLog() gives the newest bytes across the ring's end", () => {
  const uart = new Fixture();
  uart.send("x".repeat(60) + "0123456789");
  assertEquals(uart.log(), "x".repeat(54) + "0123456789");
});

Deno.test("serialLog() goes on where the count of bytes begins anew", () => {
  const uart = new Fixture();
  uart.block.setWord(UartState.written, 2 ** 32 - 3);
  uart.send("abcdef");
  assertEquals(uart.block.word(UartState.written), 3);
  assertEquals(uart.log(), "def");
});

Deno.test("Uart16550 survives any access of a hostile guest", () => {
  fuzz((random) => {
    const uart = new Fixture({ input: 0, output: 1 });
    for (let i = 0; i < 40; i++) {
      const offset = random.below(12);
      const size = random.pick([1, 2, 4]);
      if (random.chance(0.2)) uart.block.setWord(UartState.output_waiting, 1);
      if (random.chance(0.1) && uart.block.inputCount() < 900) uart.feed(random.below(40));
      const causeBefore = uart.block.interruptCause();
      if (random.chance(0.5)) uart.uart.write(offset, size, random.hostile32() % 2 ** (8 * size));
      else {
        const value = uart.uart.read(offset, size);
        assert(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size));
      }
      const rose = causeBefore === UART_IIR_NO_INT &&
        uart.block.interruptCause() !== UART_IIR_NO_INT;
      const pulses = uart.context.takePulses();
      assert(!rose || pulses > 0, "a cause that rises pulses the line");
    }
    assert(uart.block.inputCount() <= 1024);
  });
});
