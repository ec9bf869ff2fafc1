/** The device of examples/dice_device.ts on the bench, under the driver-side mock. */

import { assert, assertEquals } from "@std/assert";
import { virtio } from "../../examples/dice_device.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { RNG_SPEC } from "../../src/virtio/rng.ts";
import { requirement } from "../support/require.ts";
import { VirtioBench } from "../support/virtio_bench.ts";

if (!requirement("ffi").ignore) openAllGroups();

Deno.test(
  "examples/dice_device.ts goes on with its bytes from request to request, 4096 of them at most",
  requirement("ffi"),
  () => {
    const options = { bytes: [1, 2, 3, 4, 5, 6] };
    using bench = VirtioBench.open({ spec: RNG_SPEC, device: virtio, options });
    bench.initialize();
    const [queue] = bench.driver.queues;
    assert(queue);
    const first = queue.add([{ writable: 4 }]);
    const second = queue.add([{ writable: 3 }, { writable: 5 }], { indirect: true });
    const third = queue.add([{ writable: 10_000 }]);
    bench.notify(0);
    assertEquals(queue.used(), [
      { head: first, length: 4 },
      { head: second, length: 8 },
      { head: third, length: 4096 },
    ]);
    assertEquals(queue.written(first), Uint8Array.of(1, 2, 3, 4));
    assertEquals(queue.written(second), Uint8Array.of(5, 6, 1, 2, 3, 4, 5, 6));
    assertEquals(bench.interrupts, 1);
  },
);
