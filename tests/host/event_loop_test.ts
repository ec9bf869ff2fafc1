import { assertEquals, assertThrows } from "@std/assert";
import { EPOLLIN, EPOLLOUT, O_RDONLY, O_WRONLY } from "../../src/abi/linux.ts";
import { VireoError } from "../../src/base/errors.ts";
import { EventLoop } from "../../src/host/event_loop.ts";
import { EventFd, Fd } from "../../src/host/fd.ts";
import { libcRequirement, openDescriptors } from "../support/libc.ts";

const needs = libcRequirement();

/** A loop whose reserved eventfds and errors the test sees. */
class Fixture implements Disposable {
  readonly stop = EventFd.create();
  readonly pause = EventFd.create();
  readonly errors: [unknown, number][] = [];
  readonly owners: string[] = [];
  pauses = 0;
  readonly loop = new EventLoop({
    stop: this.stop,
    pause: this.pause,
    onPause: () => this.pauses++,
    onError: (error, fd, owner) => {
      this.errors.push([error, fd]);
      this.owners.push(owner);
    },
  });

  [Symbol.dispose](): void {
    this.loop[Symbol.dispose]();
    this.stop[Symbol.dispose]();
    this.pause[Symbol.dispose]();
  }
}

Deno.test("EventLoop calls the handler of what is ready, and of nothing else", needs, () => {
  using fixture = new Fixture();
  using ready = EventFd.create();
  using quiet = EventFd.create();
  const calls: string[] = [];
  fixture.loop.add(ready.number, EPOLLIN, (events) => calls.push(`ready ${events}`));
  fixture.loop.add(quiet.number, EPOLLIN, () => calls.push("quiet"));
  ready.signal();
  assertEquals(fixture.loop.runOnce(1000), 1);
  assertEquals(calls, ["ready 1"]);
});

Deno.test("EventLoop.run() ends when stop is signalled", needs, () => {
  using fixture = new Fixture();
  using event = EventFd.create();
  let count = 0;
  fixture.loop.add(event.number, EPOLLIN, () => {
    if (++count === 3) fixture.stop.signal();
    if (count === 3) event.read();
  });
  event.signal();
  fixture.loop.run();
  assertEquals(count, 3);
  assertEquals(fixture.loop.stopping, true);
});

Deno.test("EventLoop calls onPause between events", needs, () => {
  using fixture = new Fixture();
  fixture.pause.signal();
  fixture.loop.runOnce(1000);
  assertEquals(fixture.pauses, 1);
  assertEquals(fixture.loop.runOnce(0), 0);
});

Deno.test("EventLoop gives what a handler throws to onError and goes on", needs, () => {
  using fixture = new Fixture();
  using first = EventFd.create();
  using second = EventFd.create();
  const broken = new Error("broken");
  let calls = 0;
  fixture.loop.add(first.number, EPOLLIN, () => {
    first.read();
    throw broken;
  });
  fixture.loop.add(second.number, EPOLLIN, () => calls += second.read());
  first.signal();
  second.signal();
  fixture.loop.runOnce(1000);
  assertEquals(fixture.errors, [[broken, first.number]]);
  assertEquals(calls, 1);
});

Deno.test(
  "EventLoop.as() tells whose handler threw, also of what a handler has added",
  needs,
  () => {
    using fixture = new Fixture();
    using first = EventFd.create();
    using second = EventFd.create();
    const fail = () => {
      throw new Error("broken");
    };
    fixture.loop.as("disk0", () =>
      fixture.loop.add(first.number, EPOLLIN, () => {
        first.read();
        fixture.loop.add(second.number, EPOLLIN, fail);
      }));
    first.signal();
    fixture.loop.runOnce(1000);
    using timer = fixture.loop.timer(fail);
    second.signal();
    fixture.loop.runOnce(1000);
    fixture.loop.remove(second.number);
    timer.set(1);
    fixture.loop.runOnce(1000);
    assertEquals(fixture.owners, ["disk0", ""]);
  },
);

Deno.test(
  "EventLoop.remove() inside a batch keeps the other handler from being called",
  needs,
  () => {
    using fixture = new Fixture();
    using one = EventFd.create();
    using two = EventFd.create();
    const calls: string[] = [];
    fixture.loop.add(one.number, EPOLLIN, () => {
      calls.push("one");
      fixture.loop.remove(two.number);
    });
    fixture.loop.add(two.number, EPOLLIN, () => {
      calls.push("two");
      fixture.loop.remove(one.number);
    });
    one.signal();
    two.signal();
    fixture.loop.runOnce(1000);
    assertEquals(calls.length, 1);
  },
);

Deno.test(
  "EventLoop does not give an old event to a new descriptor of the same number",
  needs,
  () => {
    using fixture = new Fixture();
    using one = EventFd.create();
    const two = EventFd.create();
    const number = two.number;
    const calls: string[] = [];
    let replacement: EventFd | undefined;
    const replace = (other: number) => () => {
      calls.push("first");
      fixture.loop.remove(other);
      if (other !== number) return;
      two[Symbol.dispose]();
      replacement = EventFd.create();
      fixture.loop.add(replacement.number, EPOLLIN, () => calls.push("replacement"));
    };
    fixture.loop.add(one.number, EPOLLIN, replace(number));
    fixture.loop.add(number, EPOLLIN, () => calls.push("two"));
    one.signal();
    two.signal();
    fixture.loop.runOnce(1000);
    assertEquals(replacement?.number, number);
    assertEquals(calls, ["first"]);
    replacement?.[Symbol.dispose]();
  },
);

Deno.test("EventLoop counts regular files and /dev/null as always ready", needs, () => {
  using fixture = new Fixture();
  using nothing = Fd.open("/dev/null", O_WRONLY);
  const path = Deno.makeTempFileSync();
  using file = Fd.open(path, O_RDONLY);
  Deno.removeSync(path);
  const calls: string[] = [];
  fixture.loop.add(nothing.number, EPOLLOUT, () => calls.push("null"));
  fixture.loop.add(file.number, EPOLLIN, () => calls.push("file"));
  assertEquals(fixture.loop.runOnce(-1), 2);
  fixture.loop.remove(nothing.number);
  assertEquals(fixture.loop.runOnce(-1), 1);
  fixture.loop.remove(file.number);
  assertEquals(fixture.loop.runOnce(0), 0);
  assertEquals(calls.sort(), ["file", "file", "null"]);
});

Deno.test("EventLoop refuses a descriptor twice and one that is closed", needs, () => {
  using fixture = new Fixture();
  assertThrows(() => fixture.loop.add(fixture.stop.number, EPOLLIN, () => {}), VireoError, "twice");
  assertThrows(() => fixture.loop.add(9999, EPOLLIN, () => {}), VireoError, "EBADF");
});

Deno.test("LoopTimer fires once or with a period, and not after 0", needs, () => {
  using fixture = new Fixture();
  let fired = 0;
  using timer = fixture.loop.timer(() => fired++);
  timer.set(1);
  fixture.loop.runOnce(2000);
  assertEquals(fired, 1);
  timer.set(0.5, 1);
  fixture.loop.runOnce(2000);
  fixture.loop.runOnce(2000);
  assertEquals(fired, 3);
  timer.set(0);
  assertEquals(fixture.loop.runOnce(5), 0);
});

Deno.test("EventLoop and LoopTimer leave no descriptor behind", needs, () => {
  const before = openDescriptors();
  for (let i = 0; i < 100; i++) {
    using fixture = new Fixture();
    using timer = fixture.loop.timer(() => {});
    timer.set(1000);
  }
  assertEquals(openDescriptors(), before);
});
