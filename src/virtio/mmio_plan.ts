/**
 * Plans of virtio devices on the MMIO transport, for whoever builds a machine.
 *
 * @module
 */

import { VIRTIO_MMIO_QUEUE_NOTIFY } from "../abi/virtio.ts";
import type { PlainValue } from "../bus/device_descriptor.ts";
import { moduleUrl } from "../devices/own_device.ts";
import type { DevicePlan } from "../devices/device_plan.ts";
import { CONTROL_EVENT, notifyEvent } from "./transport.ts";
import type { VirtioSpec } from "./virtio_spec.ts";
import { VirtioState } from "./virtio_state.ts";

/** Registers (0x100) and configuration space; a page, so that no two devices share one. */
const WINDOW_SIZE = 0x1000;

/** A virtio device to be planned. */
export interface VirtioDeviceOptions {
  /** Unique in the machine: `rng0`. */
  readonly id: string;
  /** Its row in devices.ts: `rng`. */
  readonly device: string;
  /** What it offers. */
  readonly spec: VirtioSpec;
  /** Borrowed descriptors by role. */
  readonly fds?: { readonly [role: string]: number };
  /** Plain values for its back. */
  readonly options?: { readonly [name: string]: PlainValue };
  /** Whether its back may block, and so gets an I/O worker of its own. */
  readonly blocking?: boolean;
}

/** A virtio device of the program's own. */
export interface OwnVirtioDeviceOptions extends Omit<VirtioDeviceOptions, "device"> {
  /** `new URL("./my_device.ts", import.meta.url)`: a module that exports `virtio`, a {@linkcode VirtioDeviceFactory}. */
  readonly module: URL | string;
}

/**
 * A virtio device whose code is a module of the program's, which runs in an I/O worker of the machine as Vireo's own do.
 *
 * ```ts ignore
 * virtioDevice({
 *   id: "dice0",
 *   module: new URL("./dice.ts", import.meta.url),
 *   spec: { deviceId: 4, features: [], queueSizes: [64] },
 * })
 * ```
 *
 * @throws VireoError of kind `config` where the module is no URL
 */
export function virtioDevice({ module, ...device }: OwnVirtioDeviceOptions): DevicePlan {
  return {
    ...virtioMmioPlan({ ...device, device: "" }),
    options: device.options ?? {},
    module: moduleUrl(module, `of device "${device.id}"`),
  };
}

/**
 * The plan of a virtio device on the MMIO transport: one window, one interrupt, one doorbell a queue (a write of the queue's
 * number to QueueNotify, virtio 1.3 §4.2.3.3), and the event by which its front calls its back.
 */
export function virtioMmioPlan(device: VirtioDeviceOptions): DevicePlan {
  return {
    kind: "virtio-mmio",
    id: device.id,
    windows: { allocate: WINDOW_SIZE },
    gsi: "allocate",
    createState: (state) => VirtioState.create(state, device.spec, device.id).offset,
    events: [CONTROL_EVENT],
    doorbells: device.spec.queueSizes.map((_, queue) => ({
      role: notifyEvent(queue),
      offset: VIRTIO_MMIO_QUEUE_NOTIFY,
      size: 4,
      value: queue,
    })),
    fds: device.fds ?? {},
    options: { ...device.options, device: device.device },
    back: device.blocking ? "blocking" : "shared",
  };
}
