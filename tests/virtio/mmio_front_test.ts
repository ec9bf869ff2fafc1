import { assert, assertEquals } from "@std/assert";
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
  VIRTIO_MMIO_MAGIC_VALUE,
  VIRTIO_MMIO_QUEUE_DESC_LOW,
  VIRTIO_MMIO_QUEUE_NOTIFY,
  VIRTIO_MMIO_QUEUE_NUM,
  VIRTIO_MMIO_QUEUE_NUM_MAX,
  VIRTIO_MMIO_QUEUE_READY,
  VIRTIO_MMIO_QUEUE_SEL,
  VIRTIO_MMIO_SHM_BASE_HIGH,
  VIRTIO_MMIO_SHM_BASE_LOW,
  VIRTIO_MMIO_SHM_LEN_HIGH,
  VIRTIO_MMIO_SHM_LEN_LOW,
  VIRTIO_MMIO_SHM_SEL,
  VIRTIO_MMIO_STATUS,
  VIRTIO_MMIO_VENDOR_ID,
  VIRTIO_MMIO_VERSION,
} from "../../src/abi/virtio.ts";
import { FrontRig } from "../support/virtio_front.ts";

/** QueueReset, which Linux' header does not name. */
const QUEUE_RESET = 0x0c0;
const WRITABLE = VIRTIO_MMIO_CONFIG + 4;

Deno.test("MmioFront says what it is (virtio 1.3 §4.2.2)", () => {
  const { driver } = new FrontRig();
  assertEquals(driver.read(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
  assertEquals(driver.read(VIRTIO_MMIO_VERSION), 2);
  assertEquals(driver.read(VIRTIO_MMIO_DEVICE_ID), 42);
  assertEquals(driver.read(VIRTIO_MMIO_VENDOR_ID), 0x45524956);
});

Deno.test("MmioFront offers its class' features and those of our rings", () => {
  const { driver } = new FrontRig();
  assertEquals(driver.offered(), [0, 5, 28, 29, 32, 40]);
});

Deno.test("MmioFront offers no feature above 63 (virtio 1.3 §2.2)", () => {
  const { driver } = new FrontRig();
  for (const half of [2, 3, 31, 0xffff_ffff]) {
    driver.write(VIRTIO_MMIO_DEVICE_FEATURES_SEL, half);
    assertEquals(driver.read(VIRTIO_MMIO_DEVICE_FEATURES), 0);
  }
});

Deno.test("MmioFront shows the queue that is selected", () => {
  const { driver } = new FrontRig();
  const shown = [0, 1, 2, 0xffff_ffff].map((queue) => {
    driver.write(VIRTIO_MMIO_QUEUE_SEL, queue);
    return [driver.read(VIRTIO_MMIO_QUEUE_NUM_MAX), driver.read(VIRTIO_MMIO_QUEUE_READY)];
  });
  assertEquals(shown, [[16, 0], [64, 0], [0, 0], [0, 0]]);
});

Deno.test("MmioFront has no shared memory regions (virtio 1.3 §4.2.2)", () => {
  const { driver } = new FrontRig();
  for (const region of [0, 1, 255]) {
    driver.write(VIRTIO_MMIO_SHM_SEL, region);
    for (
      const register of [
        VIRTIO_MMIO_SHM_LEN_LOW,
        VIRTIO_MMIO_SHM_LEN_HIGH,
        VIRTIO_MMIO_SHM_BASE_LOW,
        VIRTIO_MMIO_SHM_BASE_HIGH,
      ]
    ) assertEquals(driver.read(register), 0xffff_ffff);
  }
});

Deno.test("MmioFront answers control registers to aligned 32-bit accesses only (virtio 1.3 §4.2.2.2)", () => {
  const { front } = new FrontRig();
  for (const size of [1, 2]) {
    assertEquals(front.read(VIRTIO_MMIO_MAGIC_VALUE, size), 0);
    front.write(VIRTIO_MMIO_STATUS, size, 1);
  }
  assertEquals(front.readWide(VIRTIO_MMIO_MAGIC_VALUE), 0n);
  front.writeWide(VIRTIO_MMIO_STATUS, 1n);
  assertEquals(front.read(VIRTIO_MMIO_STATUS, 4), 0);
  for (const offset of [1, 2, 3, 0xa8, 0xfb, 0xfd]) {
    assertEquals(front.read(offset, 4), 0);
    front.write(offset, 4, 0xffff_ffff);
  }
  assertEquals(front.read(VIRTIO_MMIO_STATUS, 4), 0);
});

Deno.test("MmioFront reads 0 from write-only registers and drops writes to read-only ones", () => {
  const { driver } = new FrontRig();
  driver.write(VIRTIO_MMIO_QUEUE_SEL, 1);
  assertEquals(driver.read(VIRTIO_MMIO_QUEUE_SEL), 0);
  assertEquals(driver.read(VIRTIO_MMIO_QUEUE_NOTIFY), 0);
  for (const register of [VIRTIO_MMIO_MAGIC_VALUE, VIRTIO_MMIO_DEVICE_ID, VIRTIO_MMIO_VERSION]) {
    const before = driver.read(register);
    driver.write(register, 0xdead_beef);
    assertEquals(driver.read(register), before);
  }
});

Deno.test("MmioFront has no QueueReset, since RING_RESET is not offered (virtio 1.3 §4.2.2)", () => {
  const { driver, block } = new FrontRig();
  driver.initialize();
  driver.write(QUEUE_RESET, 1);
  assertEquals(driver.read(QUEUE_RESET), 0);
  assertEquals(block.queues.map(({ ready }) => ready), [true, true]);
});

Deno.test("MmioFront reads configuration bytes at any width and offset (virtio 1.3 §4.2.2.2)", () => {
  const { front } = new FrontRig();
  const at = VIRTIO_MMIO_CONFIG;
  assertEquals([front.read(at, 1), front.read(at + 11, 1)], [1, 12]);
  assertEquals([front.read(at, 2), front.read(at + 3, 2)], [0x0201, 0x0504]);
  assertEquals([front.read(at, 4), front.read(at + 8, 4)], [0x0403_0201, 0x0c0b_0a09]);
  assertEquals(front.readWide(at), 0x0807_0605_0403_0201n);
});

Deno.test("MmioFront reads zeros behind the configuration space", () => {
  const { front } = new FrontRig();
  const end = VIRTIO_MMIO_CONFIG + 12;
  assertEquals([front.read(end, 1), front.read(end - 1, 4), front.read(0xffc, 4)], [0, 12, 0]);
  assertEquals(front.readWide(end - 4), 0x0c0b_0a09n);
  assertEquals(front.readWide(0xff8), 0n);
});

Deno.test("MmioFront takes writes to writable configuration bytes and tells the device", () => {
  const { front, signals, block } = new FrontRig();
  front.write(WRITABLE, 1, 0xaa);
  front.write(WRITABLE + 2, 2, 0xccbb);
  assertEquals(front.read(WRITABLE, 4) >>> 0, 0xccbb_06aa);
  front.write(WRITABLE, 4, 0x4433_2211);
  assertEquals(front.read(WRITABLE, 4), 0x4433_2211);
  assertEquals([signals, block.configWrites], [["control", "control", "control"], 3]);
});

Deno.test("MmioFront leaves read-only configuration bytes out of a write", () => {
  const { front, signals } = new FrontRig();
  front.writeWide(VIRTIO_MMIO_CONFIG, 0xffff_ffff_ffff_ffffn);
  assertEquals(front.readWide(VIRTIO_MMIO_CONFIG), 0xffff_ffff_0403_0201n);
  front.write(VIRTIO_MMIO_CONFIG, 4, 0);
  front.write(VIRTIO_MMIO_CONFIG + 8, 4, 0);
  front.write(0xffc, 4, 0);
  assertEquals(front.readWide(VIRTIO_MMIO_CONFIG), 0xffff_ffff_0403_0201n);
  assertEquals(front.read(VIRTIO_MMIO_CONFIG + 8, 4), 0x0c0b_0a09);
  assertEquals(signals, ["control"]);
});

Deno.test("MmioFront takes no configuration writes where no byte is writable", () => {
  const config = Uint8Array.of(1, 2, 3, 4);
  const { front, signals } = new FrontRig({ deviceId: 2, features: [], queueSizes: [8], config });
  front.write(VIRTIO_MMIO_CONFIG, 4, 0);
  assertEquals([front.read(VIRTIO_MMIO_CONFIG, 4), signals], [0x0403_0201, []]);
});

Deno.test("MmioFront changes the generation with the device's configuration (virtio 1.3 §2.5.1)", () => {
  const { driver, block } = new FrontRig();
  const before = driver.read(VIRTIO_MMIO_CONFIG_GENERATION);
  assertEquals(driver.read(VIRTIO_MMIO_CONFIG_GENERATION), before);
  block.changeConfig(2, Uint8Array.of(0xee));
  assert(driver.read(VIRTIO_MMIO_CONFIG_GENERATION) !== before);
  assertEquals(driver.read(VIRTIO_MMIO_CONFIG), 0x04ee_0201);
  block.changeConfig(1, Uint8Array.of(0xaa, 0xbb, 0xcc));
  assertEquals(driver.read(VIRTIO_MMIO_CONFIG) >>> 0, 0xccbb_aa01);
});

Deno.test("MmioFront keeps interrupt causes until they are acknowledged (virtio 1.3 §4.2.2)", () => {
  const { driver, block } = new FrontRig();
  block.addInterrupt(1);
  block.addInterrupt(2);
  assertEquals(driver.read(VIRTIO_MMIO_INTERRUPT_STATUS), 3);
  driver.write(VIRTIO_MMIO_INTERRUPT_ACK, 0xffff_fffc);
  assertEquals(driver.read(VIRTIO_MMIO_INTERRUPT_STATUS), 3);
  driver.write(VIRTIO_MMIO_INTERRUPT_ACK, 1);
  assertEquals(driver.read(VIRTIO_MMIO_INTERRUPT_STATUS), 2);
  driver.write(VIRTIO_MMIO_INTERRUPT_ACK, 2);
  assertEquals(driver.read(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
});

Deno.test("MmioFront takes features between DRIVER and FEATURES_OK only (virtio 1.3 §3.1.1)", () => {
  const { driver, block } = new FrontRig();
  driver.write(VIRTIO_MMIO_DRIVER_FEATURES, 1);
  driver.status = 1;
  driver.write(VIRTIO_MMIO_DRIVER_FEATURES, 1);
  assertEquals(block.driverFeatures(0), 0);
  driver.status = 3;
  driver.takeFeatures([5, 32]);
  driver.status = 0xb;
  driver.takeFeatures([0, 5, 32]);
  assertEquals([block.driverFeatures(0), block.driverFeatures(1)], [32, 1]);
});

Deno.test("MmioFront ignores the driver's features above 63", () => {
  const { driver, block } = new FrontRig();
  driver.status = 1;
  driver.status = 3;
  driver.takeFeatures([32]);
  for (const half of [2, 31, 0xffff_ffff]) {
    driver.write(VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
    driver.write(VIRTIO_MMIO_DRIVER_FEATURES, 0xffff_ffff);
  }
  driver.status = 0xb;
  assertEquals([driver.status, block.driverFeatures(2)], [0xb, 0]);
});

Deno.test("MmioFront takes a queue's registers between FEATURES_OK and DRIVER_OK only (virtio 1.3 §3.1.1)", () => {
  const { driver, block } = new FrontRig();
  const [queue] = block.queues;
  const set = () => {
    driver.write(VIRTIO_MMIO_QUEUE_NUM, 4);
    driver.write(VIRTIO_MMIO_QUEUE_DESC_LOW, 0x1000);
    driver.write(VIRTIO_MMIO_QUEUE_READY, 1);
  };
  set();
  driver.status = 1;
  set();
  driver.status = 3;
  set();
  assertEquals([queue?.size, queue?.descriptorArea, queue?.ready], [16, 0, false]);
  driver.takeFeatures([32]);
  driver.status = 0xb;
  set();
  assertEquals([queue?.size, queue?.descriptorArea, queue?.ready], [4, 0x1000, true]);
});

Deno.test("MmioFront ignores changes of a queue that is ready, and takes them again after that", () => {
  const { driver, block } = new FrontRig();
  driver.negotiate();
  driver.write(VIRTIO_MMIO_QUEUE_READY, 1);
  driver.write(VIRTIO_MMIO_QUEUE_READY, 1);
  driver.write(VIRTIO_MMIO_QUEUE_NUM, 4);
  assertEquals([driver.read(VIRTIO_MMIO_QUEUE_READY), block.queues[0]?.size], [1, 16]);
  driver.write(VIRTIO_MMIO_QUEUE_READY, 0);
  driver.write(VIRTIO_MMIO_QUEUE_NUM, 4);
  assertEquals([driver.read(VIRTIO_MMIO_QUEUE_READY), block.queues[0]?.size], [0, 4]);
});

Deno.test("MmioFront ignores changes of queues after DRIVER_OK", () => {
  const { driver, block } = new FrontRig();
  driver.initialize();
  const before = block.queues.map((
    { size, descriptorArea, ready },
  ) => [size, descriptorArea, ready]);
  for (const queue of [0, 1]) {
    driver.write(VIRTIO_MMIO_QUEUE_SEL, queue);
    driver.write(VIRTIO_MMIO_QUEUE_READY, 0);
    driver.write(VIRTIO_MMIO_QUEUE_NUM, 2);
    driver.write(VIRTIO_MMIO_QUEUE_DESC_LOW, 0);
  }
  const after = block.queues.map((
    { size, descriptorArea, ready },
  ) => [size, descriptorArea, ready]);
  assertEquals(after, before);
});

Deno.test("MmioFront drops queue registers of a queue that is not there", () => {
  const { driver, block } = new FrontRig();
  driver.negotiate();
  for (const queue of [2, 255, 0xffff_ffff]) {
    driver.write(VIRTIO_MMIO_QUEUE_SEL, queue);
    driver.write(VIRTIO_MMIO_QUEUE_NUM, 2);
    driver.write(VIRTIO_MMIO_QUEUE_READY, 1);
    assertEquals(driver.read(VIRTIO_MMIO_QUEUE_READY), 0);
  }
  assertEquals(block.queues.map(({ size, ready }) => [size, ready]), [[16, false], [64, false]]);
});

Deno.test("MmioFront passes notifications on that came by an exit, after DRIVER_OK only", () => {
  const { driver, signals } = new FrontRig();
  driver.write(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
  driver.initialize();
  assertEquals(signals, ["control"]);
  for (const queue of [0, 1, 2, 65536, 0xffff_ffff]) driver.write(VIRTIO_MMIO_QUEUE_NOTIFY, queue);
  assertEquals(signals, ["control", "notify0", "notify1"]);
});
