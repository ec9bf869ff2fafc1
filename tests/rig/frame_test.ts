import { assertEquals, assertThrows } from "@std/assert";
import {
  CHUNK,
  decodeText,
  type Duplex,
  encodeText,
  type Frame,
  FrameKind,
  FrameLink,
  FrameSplitter,
  SendWindow,
  WINDOW,
} from "../../src/rig/frame.ts";
import { VireoError } from "../../src/base/errors.ts";

/** The bytes that a link puts on the wire. */
async function wireOf(send: (link: FrameLink) => Promise<unknown>[]): Promise<Uint8Array> {
  const written: number[] = [];
  // Takes a few bytes at a time, as a full socket does.
  const duplex: Duplex = {
    read: () => Promise.resolve(null),
    write: (bytes) => {
      const part = bytes.subarray(0, 5);
      written.push(...part);
      return Promise.resolve(part.length);
    },
  };
  await Promise.all(send(new FrameLink(duplex)));
  return Uint8Array.from(written);
}

function split(wire: Uint8Array, pieceLength: number): Frame[] {
  const frames: Frame[] = [];
  const splitter = new FrameSplitter();
  for (let at = 0; at < wire.length; at += pieceLength) {
    splitter.push(wire.subarray(at, at + pieceLength), (frame) => frames.push(frame));
  }
  return frames;
}

for (const pieceLength of [1, 7, 12, 13, 100_000]) {
  Deno.test(`FrameSplitter gives whole frames in order from pieces of ${pieceLength} bytes`, async () => {
    const wire = await wireOf((link) => [
      link.send(1, FrameKind.Signal, encodeText("SIGTERM")),
      link.send(0, FrameKind.Ping),
      link.send(0xffffffff, FrameKind.Failed, encodeText("grüße")),
    ]);
    const frames = split(wire, pieceLength).map(({ run, kind, payload }) => [
      run,
      kind,
      decodeText(payload),
    ]);
    assertEquals(frames, [
      [1, FrameKind.Signal, "SIGTERM"],
      [0, FrameKind.Ping, ""],
      [0xffffffff, FrameKind.Failed, "grüße"],
    ]);
  });
}

Deno.test("FrameSplitter grows for a frame larger than its buffer and keeps what follows", async () => {
  const large = new Uint8Array(3 * CHUNK).fill(7);
  const wire = await wireOf((link) => [
    link.send(1, FrameKind.Data, large),
    link.send(2, FrameKind.Data, large.subarray(0, 1)),
  ]);
  assertEquals(split(wire, 1000).map(({ payload }) => payload.length), [3 * CHUNK, 1]);
});

Deno.test("FrameSplitter refuses a length that no frame has", () => {
  const header = new Uint8Array(12).fill(0xff);
  assertThrows(() => split(header, 12), VireoError, "not a rig's byte stream");
});

Deno.test("SendWindow.take() gives WINDOW bytes in chunks, then waits for open()", async () => {
  const window = new SendWindow();
  const chunks = WINDOW / CHUNK;
  for (let i = 0; i < chunks; i++) assertEquals(await window.take(10 * CHUNK), CHUNK);
  const events: string[] = [];
  const taken = window.take(10).then((count) => events.push(`took ${count}`));
  await Promise.resolve();
  events.push("opened");
  window.open(4);
  await taken;
  assertEquals(events, ["opened", "took 4"]);
});

Deno.test("SendWindow.take() gives 0 once the reader has closed", async () => {
  const window = new SendWindow();
  for (let i = 0; i < WINDOW / CHUNK; i++) await window.take(CHUNK);
  const waiting = window.take(1);
  window.close();
  assertEquals([await waiting, await window.take(1)], [0, 0]);
});
