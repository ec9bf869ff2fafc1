/**
 * The MMIO transport's registers (virtio 1.3 §4.2.2) over a device's state block. No class of device is known here: device id,
 * features, queues and configuration bytes all lie in the block.
 *
 * @module
 */

import {
  VIRTIO_MMIO_CONFIG,
  VIRTIO_MMIO_CONFIG_GENERATION,
  VIRTIO_MMIO_DEVICE_FEATURES,
  VIRTIO_MMIO_DEVICE_FEATURES_SEL,
  VIRTIO_MMIO_DEVICE_ID,
  VIRTIO_MMIO_DRIVER_FEATURES,
  VIRTIO_MMIO_DRIVER_FEATURES_SEL,
  VIRTIO_MMIO_INTERRUPT_ACK,
  VIRTIO_MMIO_INTERRUPT_STATUS,
  VIRTIO_MMIO_MAGIC,
  VIRTIO_MMIO_MAGIC_VALUE,
  VIRTIO_MMIO_MODERN_VERSION,
  VIRTIO_MMIO_QUEUE_AVAIL_HIGH,
  VIRTIO_MMIO_QUEUE_AVAIL_LOW,
  VIRTIO_MMIO_QUEUE_DESC_HIGH,
  VIRTIO_MMIO_QUEUE_DESC_LOW,
  VIRTIO_MMIO_QUEUE_NOTIFY,
  VIRTIO_MMIO_QUEUE_NUM,
  VIRTIO_MMIO_QUEUE_NUM_MAX,
  VIRTIO_MMIO_QUEUE_READY,
  VIRTIO_MMIO_QUEUE_SEL,
  VIRTIO_MMIO_QUEUE_USED_HIGH,
  VIRTIO_MMIO_QUEUE_USED_LOW,
  VIRTIO_MMIO_SHM_BASE_HIGH,
  VIRTIO_MMIO_SHM_BASE_LOW,
  VIRTIO_MMIO_SHM_LEN_HIGH,
  VIRTIO_MMIO_SHM_LEN_LOW,
  VIRTIO_MMIO_STATUS,
  VIRTIO_MMIO_VENDOR_ID,
  VIRTIO_MMIO_VERSION,
} from "../abi/virtio.ts";
import type { BusDevice } from "../bus/bus_device.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { FrontContext } from "../devices/front.ts";
import type { QueueField } from "./queue_state.ts";
import { VirtioTransport } from "./transport.ts";
import type { VirtioState } from "./virtio_state.ts";

/** What VendorID reads: "VIRE". */
const VENDOR_ID = 0x45524956;

/** The registers that can be read. */
const READS: ReadonlyMap<number, (state: VirtioState) => number> = new Map<
  number,
  (state: VirtioState) => number
>([
  [VIRTIO_MMIO_MAGIC_VALUE, () => VIRTIO_MMIO_MAGIC],
  [VIRTIO_MMIO_VERSION, () => VIRTIO_MMIO_MODERN_VERSION],
  [VIRTIO_MMIO_DEVICE_ID, (state) => state.deviceId],
  [VIRTIO_MMIO_VENDOR_ID, () => VENDOR_ID],
  [
    VIRTIO_MMIO_DEVICE_FEATURES,
    (state) => state.deviceFeatures(state.selector("deviceFeaturesSel")),
  ],
  [VIRTIO_MMIO_QUEUE_NUM_MAX, (state) => state.selectedQueue?.maxSize ?? 0],
  [VIRTIO_MMIO_QUEUE_READY, (state) => state.selectedQueue?.ready ? 1 : 0],
  [VIRTIO_MMIO_INTERRUPT_STATUS, (state) => state.interruptStatus],
  [VIRTIO_MMIO_STATUS, (state) => state.status],
  // No shared memory regions: each is -1 bytes long, at -1.
  [VIRTIO_MMIO_SHM_LEN_LOW, () => 0xffff_ffff],
  [VIRTIO_MMIO_SHM_LEN_HIGH, () => 0xffff_ffff],
  [VIRTIO_MMIO_SHM_BASE_LOW, () => 0xffff_ffff],
  [VIRTIO_MMIO_SHM_BASE_HIGH, () => 0xffff_ffff],
  [VIRTIO_MMIO_CONFIG_GENERATION, (state) => state.configGeneration],
]);

/** The registers of the selected queue that take a number. */
const QUEUE_FIELDS: readonly (readonly [register: number, field: QueueField])[] = [
  [VIRTIO_MMIO_QUEUE_NUM, "size"],
  [VIRTIO_MMIO_QUEUE_DESC_LOW, "descLow"],
  [VIRTIO_MMIO_QUEUE_DESC_HIGH, "descHigh"],
  [VIRTIO_MMIO_QUEUE_AVAIL_LOW, "driverLow"],
  [VIRTIO_MMIO_QUEUE_AVAIL_HIGH, "driverHigh"],
  [VIRTIO_MMIO_QUEUE_USED_LOW, "deviceLow"],
  [VIRTIO_MMIO_QUEUE_USED_HIGH, "deviceHigh"],
];

type Write = (transport: VirtioTransport, value: number) => void;

/** The registers that can be written. QueueReset is not among them, since RING_RESET is not offered. */
const WRITES: ReadonlyMap<number, Write> = new Map<number, Write>([
  [VIRTIO_MMIO_DEVICE_FEATURES_SEL, ({ state }, value) => state.select("deviceFeaturesSel", value)],
  [VIRTIO_MMIO_DRIVER_FEATURES_SEL, ({ state }, value) => state.select("driverFeaturesSel", value)],
  [
    VIRTIO_MMIO_DRIVER_FEATURES,
    ({ state }, value) => state.setDriverFeatures(state.selector("driverFeaturesSel"), value),
  ],
  [VIRTIO_MMIO_QUEUE_SEL, ({ state }, value) => state.select("queueSel", value)],
  [VIRTIO_MMIO_QUEUE_READY, ({ state }, value) => state.setQueueReady(value % 2 !== 0)],
  [VIRTIO_MMIO_QUEUE_NOTIFY, (transport, value) => transport.notify(value)],
  [VIRTIO_MMIO_INTERRUPT_ACK, ({ state }, value) => state.acknowledgeInterrupt(value)],
  [VIRTIO_MMIO_STATUS, (transport, value) => transport.writeStatus(value)],
  ...QUEUE_FIELDS.map(([register, field]): [number, Write] => [
    register,
    ({ state }, value) => state.setQueue(field, value),
  ]),
]);

/**
 * The front of any virtio device on the MMIO transport. Control registers take aligned 32-bit accesses only
 * (virtio 1.3 §4.2.2.2): others read as 0 and write nothing. The configuration space takes any width at any offset.
 */
export class MmioFront implements BusDevice {
  readonly #transport: VirtioTransport;
  /** For configuration bytes on their way. */
  readonly #buffer = new DataView(new ArrayBuffer(8));
  readonly #views: readonly DataView[] = [0, 1, 2, 3, 4, 5, 6, 7, 8].map((size) =>
    new DataView(this.#buffer.buffer, 0, size)
  );

  /** @param descriptor its `state` is the block's offset, its `fds` the events of {@linkcode VirtioTransport} */
  constructor(descriptor: DeviceDescriptor, context: FrontContext) {
    this.#transport = new VirtioTransport(descriptor, context);
  }

  read(offset: number, size: number): number {
    if (offset >= VIRTIO_MMIO_CONFIG) {
      this.#readConfig(offset, size);
      if (size === 4) return this.#buffer.getInt32(0, true);
      return size === 2 ? this.#buffer.getUint16(0, true) : this.#buffer.getUint8(0);
    }
    return size === 4 ? READS.get(offset)?.(this.#transport.state) ?? 0 : 0;
  }

  write(offset: number, size: number, value: number): void {
    if (offset >= VIRTIO_MMIO_CONFIG) {
      this.#buffer.setUint32(0, value, true);
      this.#writeConfig(offset, size);
    } else if (size === 4) {
      // Signed, as the bus has it: all that registers do is keep 32 bits or look at some of them.
      WRITES.get(offset)?.(this.#transport, value);
    }
  }

  readWide(offset: number): bigint {
    if (offset < VIRTIO_MMIO_CONFIG) return 0n;
    this.#readConfig(offset, 8);
    return this.#buffer.getBigUint64(0, true);
  }

  writeWide(offset: number, value: bigint): void {
    if (offset < VIRTIO_MMIO_CONFIG) return;
    this.#buffer.setBigUint64(0, value, true);
    this.#writeConfig(offset, 8);
  }

  #readConfig(offset: number, size: number): void {
    this.#transport.state.readConfig(offset - VIRTIO_MMIO_CONFIG, this.#view(size));
  }

  #writeConfig(offset: number, size: number): void {
    this.#transport.writeConfig(offset - VIRTIO_MMIO_CONFIG, this.#view(size));
  }

  #view(size: number): DataView {
    return this.#views[size] ?? this.#buffer;
  }
}
