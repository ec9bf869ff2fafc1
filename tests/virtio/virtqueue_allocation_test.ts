import { assert } from "@std/assert";
import { queueBench } from "../bench/queue_bench.ts";

Deno.test("Virtqueue allocates nothing for a request, wherever its memory lies", () => {
  for (const { name, allocated } of queueBench()) {
    // One boxed number would be 16 bytes, and so much less is what looking at the heap itself costs.
    assert(allocated < 4, `${name}: ${allocated} bytes`);
  }
});
