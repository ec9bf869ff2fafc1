import { assert, assertEquals } from "@std/assert";
import { BootMarks, MARK, now } from "../../src/devices/boot_marks.ts";
import { MarkerPort, markerPort } from "../../src/devices/marker_port.ts";
import { SharedState } from "../../src/memory/shared_state.ts";
import { place, RecordingContext } from "./chip_fixture.ts";

Deno.test("BootMarks gives the first mark of each code, by time", () => {
  const state = SharedState.create(8192);
  const marks = BootMarks.create(state);
  const before = now();
  marks.add(MARK.vmCreated);
  const other = new BootMarks(SharedState.attach(state.buffer), marks.offset);
  other.add(MARK.init);
  other.add(MARK.init);
  other.add(0);
  const after = now();
  const read = marks.read();
  assertEquals(read.map(({ code }) => code), [MARK.vmCreated, MARK.init, 0]);
  const times = [before, ...read.map(({ at }) => at), after];
  assertEquals(times, times.toSorted((a, b) => a - b));
});

Deno.test("BootMarks forgets what a guest writes beyond 64 marks", () => {
  const state = SharedState.create(8192);
  const marks = BootMarks.create(state);
  const next = state.allocate(64, "a neighbour");
  for (let code = 0; code < 256; code++) marks.add(code);
  assertEquals(marks.read().map(({ code }) => code), Array.from({ length: 64 }, (_, code) => code));
  assert(state.bytes(next, 64).every((byte) => byte === 0));
});

Deno.test("MarkerPort notes each byte written, and reads as its own number", () => {
  const context = new RecordingContext();
  const port = new MarkerPort(place(markerPort({ id: "marks", port: 0xe9 }), context), context);
  port.write(0, 1, 0x49);
  port.write(0, 2, 0x4342);
  assertEquals(context.marks, [0x49, 0x42, 0x43]);
  assertEquals(port.read(0, 1), 0xe9);
});
