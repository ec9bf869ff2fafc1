// deno-lint-ignore-file no-console -- it prints, as programs do

/** Boots Linux with an entropy device of one's own, `/dev/hwrng`: `deno run -A examples/virtio_device.ts [vm.toml]`. */

import { createMachine, virtioDevice } from "../src/mod.ts";

const file = Deno.args[0] ?? new URL("vm.toml", import.meta.url).pathname;
const dice = virtioDevice({
  id: "dice0",
  module: new URL("./dice_device.ts", import.meta.url),
  spec: { deviceId: 4, features: [], queueSizes: [64] },
  options: { bytes: [1, 2, 3, 4, 5, 6] },
});
await using machine = await createMachine([file, "--set", "rng.source=none"], { devices: [dice] });
const { text } = await machine.run({ signal: AbortSignal.timeout(300_000) });
console.error(text);
