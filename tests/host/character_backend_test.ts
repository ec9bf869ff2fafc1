import { assertEquals } from "@std/assert";
import { CharacterBackend } from "../../src/host/character_backend.ts";
import { UnixListener } from "../../src/host/unix_socket.ts";
import { Fifo } from "../support/fifo.ts";
import { TestLoop } from "../support/test_loop.ts";
import { libcRequirement } from "../support/libc.ts";
import { turnUntil, UnixClient } from "../support/unix_client.ts";

const needs = libcRequirement();

/** A backend whose calls are counted, on a loop that the test turns. */
class Fixture implements Disposable {
  readonly #folder = Deno.makeTempDirSync({ prefix: "vireo-backend-" });
  readonly path = `${this.#folder}/socket`;
  readonly listener = UnixListener.open(this.path);
  readonly #loop = new TestLoop();
  readonly loop = this.#loop.loop;
  clients = 0;
  readonly backend = new CharacterBackend(this.loop, {
    readable: () => {},
    writable: () => {},
    connected: () => this.clients++,
    warn: (message) => {
      throw new Error(message);
    },
  });

  /** Turns the loop until so many clients have come. */
  async untilClients(count: number): Promise<void> {
    await turnUntil(() => this.clients === count, () => this.loop.runOnce(0));
  }

  [Symbol.dispose](): void {
    this.backend.close();
    this.#loop[Symbol.dispose]();
    this.listener[Symbol.dispose]();
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

Deno.test("CharacterBackend on descriptors closes each stream for good", needs, () => {
  using fixture = new Fixture();
  using fifo = new Fifo();
  const { backend } = fixture;
  backend.input.open(fifo.reader.number);
  backend.output.open(fifo.writer.number);
  backend.endInput();
  assertEquals([backend.input.isOpen, backend.output.isOpen], [false, true]);
  assertEquals([backend.loseOutput(), backend.output.isOpen], [false, false]);
});

Deno.test(
  "CharacterBackend on a socket takes its next client when one is gone",
  needs,
  async () => {
    using fixture = new Fixture();
    const { backend } = fixture;
    backend.listen(fixture.listener.fd.number);
    using _first = await UnixClient.connect(fixture.path);
    using _second = await UnixClient.connect(fixture.path);
    await fixture.untilClients(1);
    fixture.loop.runOnce(0);
    assertEquals([fixture.clients, backend.input.isOpen, backend.output.isOpen], [1, true, true]);
    backend.endInput();
    assertEquals([backend.input.isOpen, backend.output.isOpen], [false, false]);
    await fixture.untilClients(2);
    assertEquals([backend.loseOutput(), backend.output.isOpen], [true, false]);
  },
);
