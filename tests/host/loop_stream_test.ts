import { assertEquals } from "@std/assert";
import { EAGAIN, EBADF, EPOLLIN } from "../../src/abi/linux.ts";
import { LoopStream } from "../../src/host/loop_stream.ts";
import { Fifo } from "../support/fifo.ts";
import { TestLoop } from "../support/test_loop.ts";
import { libcRequirement, openDescriptors } from "../support/libc.ts";

const needs = libcRequirement();

/** A loop, a pipe, and a stream to read from it. */
class Fixture implements Disposable {
  readonly fifo = new Fifo();
  readonly #loop = new TestLoop();
  readonly loop = this.#loop.loop;
  calls = 0;
  readonly stream = new LoopStream(this.loop, EPOLLIN, () => this.calls++);

  [Symbol.dispose](): void {
    this.stream.close();
    this.#loop[Symbol.dispose]();
    this.fifo[Symbol.dispose]();
  }
}

Deno.test("LoopStream calls its handler while it is waited for, and then no more", needs, () => {
  using fixture = new Fixture();
  const { stream, loop, fifo } = fixture;
  stream.open(fifo.reader.number);
  fifo.put("input");
  const calls = [false, true, true, false].map((wanted) => {
    stream.wait(wanted);
    loop.runOnce(0);
    return [stream.waits, fixture.calls];
  });
  assertEquals(calls, [[false, 0], [true, 1], [true, 2], [false, 2]]);
});

Deno.test("LoopStream that is closed is not waited for, read or written", needs, () => {
  using fixture = new Fixture();
  const { stream } = fixture;
  stream.open(undefined);
  stream.open(-1);
  stream.wait(true);
  const bytes = new Uint8Array(1);
  assertEquals([stream.isOpen, stream.waits, stream.mode], [false, false, undefined]);
  assertEquals([stream.read(bytes), stream.write(bytes)], [-EBADF, -EBADF]);
});

Deno.test("LoopStream is opened again after a close, which leaves no descriptor", needs, () => {
  using fixture = new Fixture();
  const { stream, fifo } = fixture;
  const before = openDescriptors();
  stream.open(fifo.reader.number);
  stream.wait(true);
  stream.close();
  assertEquals([stream.isOpen, stream.waits, openDescriptors()], [false, false, before]);
  stream.open(fifo.reader.number);
  assertEquals([stream.mode, stream.read(new Uint8Array(1))], ["nonblocking", -EAGAIN]);
});
