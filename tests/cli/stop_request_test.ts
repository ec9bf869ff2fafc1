import { assertEquals } from "@std/assert";
import { type Stop, StopRequest } from "../../src/cli/stop_request.ts";
import { requirement } from "../support/require.ts";

Deno.test("StopRequest keeps the first request and aborts its signal", () => {
  using stop = new StopRequest(() => {});
  assertEquals([stop.stop, stop.signal.aborted], [undefined, false]);
  stop.request({ kind: "quit" });
  stop.request({ kind: "timeout" });
  assertEquals([stop.stop, stop.signal.aborted], [{ kind: "quit" }, true]);
});

Deno.test("StopRequest leaves when an orderly end takes too long", async () => {
  const left = Promise.withResolvers<Stop>();
  using stop = new StopRequest(left.resolve, 5);
  stop.startTimeout(5);
  assertEquals(await left.promise, { kind: "timeout" });
  assertEquals(stop.stop, { kind: "timeout" });
});

Deno.test("StopRequest hears a signal, and leaves at the second", requirement(), async () => {
  const left = Promise.withResolvers<Stop>();
  using stop = new StopRequest(left.resolve);
  // A listener alone does not keep Deno's event loop going.
  const alive = setTimeout(() => {}, 60_000);
  Deno.kill(Deno.pid, "SIGTERM");
  await new Promise((heard) => stop.signal.addEventListener("abort", heard));
  assertEquals(stop.stop, { kind: "signal", signal: "SIGTERM" });
  Deno.kill(Deno.pid, "SIGHUP");
  assertEquals(await left.promise, { kind: "signal", signal: "SIGHUP" });
  clearTimeout(alive);
});

Deno.test("StopRequest waits for nothing once it is disposed", () => {
  const stop = new StopRequest(() => {});
  stop.startTimeout(60_000);
  stop.request({ kind: "quit" });
  stop[Symbol.dispose]();
});
