import { assert, assertEquals, assertFalse } from "@std/assert";
import { openRing, type Ring } from "../support/ring.ts";

/** Takes and gives back `count` requests that the driver adds, then publishes. */
function serve({ driver, queue, chain }: Ring, count: number): boolean {
  for (let i = 0; i < count; i++) driver.add([{ writable: 1, at: 0x1000 }]);
  queue.beginRound();
  while (queue.pop(chain)) queue.pushUsed(chain.head, 1);
  const interrupt = queue.publish();
  driver.used();
  return interrupt;
}

Deno.test("Virtqueue.publish() wants an interrupt unless the driver spares it (virtio 1.3 §2.7.7)", () => {
  const ring = openRing();
  assert(serve(ring, 1));
  ring.driver.noInterrupt = true;
  assertFalse(serve(ring, 1));
  ring.driver.noInterrupt = false;
  assert(serve(ring, 1));
});

Deno.test("Virtqueue.publish() ignores the driver's flag with EVENT_IDX (virtio 1.3 §2.7.7.2)", () => {
  const ring = openRing({ eventIdx: true });
  ring.driver.noInterrupt = true;
  ring.driver.usedEvent = 0;
  assert(serve(ring, 1));
});

// used_event e asks for an interrupt when the used index goes from e to e + 1: [first used index, requests, event, wanted].
const EVENTS = [
  [0, 1, 0, true],
  [0, 1, 1, false],
  [0, 4, 0, true],
  [0, 4, 3, true],
  [0, 4, 4, false],
  [5, 2, 4, false],
  [5, 2, 5, true],
  [5, 2, 6, true],
  [5, 2, 7, false],
  [65535, 1, 65535, true],
  [65535, 1, 65534, false],
  [65535, 1, 0, false],
  [65534, 4, 65535, true],
  [65534, 4, 1, true],
  [65534, 4, 2, false],
  [65534, 4, 65533, false],
] as const;

for (const [start, count, event, wanted] of EVENTS) {
  Deno.test(
    `Virtqueue.publish() of ${count} from ${start} on ${
      wanted ? "wants" : "wants no"
    } interrupt where used_event is ${event} (virtio 1.3 §2.7.7.2)`,
    () => {
      const ring = openRing({ eventIdx: true, startAt: start });
      ring.driver.usedEvent = event;
      assertEquals(serve(ring, count), wanted);
    },
  );
}

Deno.test("Virtqueue.publish() looks from batch to batch with EVENT_IDX", () => {
  const ring = openRing({ eventIdx: true });
  ring.driver.usedEvent = 3;
  assertEquals([serve(ring, 2), serve(ring, 2), serve(ring, 2)], [false, true, false]);
});

Deno.test("Virtqueue asks to be spared notifications by a flag (virtio 1.3 §2.7.10)", () => {
  const { driver, queue, chain } = openRing();
  queue.disableNotifications();
  assertEquals(driver.usedFlags, 1);
  assertFalse(queue.pop(chain));
  assertFalse(queue.enableNotifications());
  assertEquals(driver.usedFlags, 0);
});

Deno.test("Virtqueue asks for its next notification by avail_event (virtio 1.3 §2.7.10)", () => {
  const ring = openRing({ eventIdx: true, startAt: 65535 });
  serve(ring, 3);
  ring.queue.disableNotifications();
  assertEquals(ring.driver.usedFlags, 0);
  assertFalse(ring.queue.enableNotifications());
  assertEquals(ring.driver.availEvent, 2);
});

for (const eventIdx of [false, true]) {
  Deno.test(`Virtqueue.enableNotifications() tells of what came unnoticed (EVENT_IDX ${eventIdx})`, () => {
    const ring = openRing({ eventIdx });
    ring.queue.disableNotifications();
    serve(ring, 1);
    assertFalse(ring.queue.pop(ring.chain));
    ring.driver.add([{ readable: 1 }]);
    assert(ring.queue.enableNotifications());
    assert(ring.queue.pop(ring.chain));
    assertFalse(ring.queue.pop(ring.chain));
    assertFalse(ring.queue.enableNotifications());
  });
}

Deno.test("Virtqueue.enableNotifications() does not press a device that stopped by its own choice", () => {
  const { driver, queue, chain } = openRing();
  driver.add([{ writable: 1 }]);
  driver.add([{ writable: 1 }]);
  assert(queue.pop(chain));
  assertFalse(queue.enableNotifications());
  queue.undoPop();
  assertFalse(queue.enableNotifications());
});
