/**
 * Reports what kind of stream stdin is, then copies it to stdout until its end, without ever setting O_NONBLOCK on what it was given.
 */

import { EAGAIN, Pollfd, POLLIN, POLLOUT } from "../../src/abi/linux.ts";
import { poll } from "../../src/host/file.ts";
import { SharedStream } from "../../src/host/tty.ts";

const [mode] = Deno.args;
const input = SharedStream.of(0);
const output = SharedStream.of(1);

function wait(stream: SharedStream, events: number): void {
  const pollfd = new Uint8Array(8);
  const view = new DataView(pollfd.buffer);
  view.setInt32(Pollfd.fd, stream.fd, true);
  view.setInt16(Pollfd.events, events, true);
  poll(pollfd, 1, 10_000);
}

function writeAll(bytes: Uint8Array<ArrayBuffer>): void {
  for (let at = 0; at < bytes.length;) {
    const count = output.write(bytes.slice(at));
    if (count === -EAGAIN) wait(output, POLLOUT);
    else if (count < 0) Deno.exit(1);
    else at += count;
  }
}

function copy(): void {
  const chunk = new Uint8Array(65536);
  for (;;) {
    const count = input.read(chunk);
    if (count === -EAGAIN) wait(input, POLLIN);
    else if (count <= 0) return;
    else writeAll(chunk.slice(0, count));
  }
}

if (mode === "describe") {
  const flags = Deno.readTextFileSync("/proc/self/fdinfo/0").match(/flags:\s*(\d+)/)?.[1];
  const nonblocking = Math.trunc(Number.parseInt(flags ?? "0", 8) / 0o4000) % 2 === 1;
  const terminal = Deno.stdin.isTerminal();
  writeAll(new TextEncoder().encode(
    JSON.stringify({ mode: input.mode, terminal, nonblocking }) + "\n",
  ));
} else {
  copy();
}
