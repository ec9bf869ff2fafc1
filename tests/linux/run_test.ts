/** `vireo run` of machines in files, each key as Linux in it and the host around it see it. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { linuxRequirement, once } from "../support/linux_guest.ts";
import { lines, RunMachine, sections } from "./run_machine.ts";

const NEEDS = linuxRequirement();
const UUID = "8c36a6f5-0d1e-4b3a-9c3d-0123456789ab";
const MIB = 2 ** 20;

/** A machine with most keys, and what its guest says of them. */
const everything = once(async () => {
  using machine = await RunMachine.make({
    toml: `
name = "lab"
uuid = "${UUID.toUpperCase()}"
[cpu]
count = 4
max = 8
sockets = 2
cores = 2
threads = 2
features = ["-rdrand", "-avx2"]
[memory]
size = "192M"
[[disk]]
path = "root.img"
serial = "root-1"
cache = "writethrough"
[[disk]]
path = "data.img"
readonly = true
[[disk]]
id = "scratch"
size = "4M"
cache = "unsafe"
[console]
backend = "file"
path = "console.log"
[serial]
backend = "file"
path = "serial.log"
[log]
file = "vireo.log"
`,
    files: {
      "root.img": new Uint8Array(MIB),
      "data.img": new Uint8Array(MIB).fill(0x41),
    },
    script: `
say online; cat /sys/devices/system/cpu/online
say possible; cat /sys/devices/system/cpu/possible
say topology
for cpu in /sys/devices/system/cpu/cpu[0-9]*; do
  [ ! -e $cpu/topology ] || echo $(cat $cpu/topology/physical_package_id $cpu/topology/core_id $cpu/topology/thread_siblings_list)
done
say flags; grep -m1 ^flags /proc/cpuinfo
say uuid; cat /sys/class/dmi/id/product_uuid
say vendor; cat /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name
say disks
for disk in vda vdb vdc; do
  echo $disk $(cat /sys/block/$disk/size /sys/block/$disk/ro) $(cat /sys/block/$disk/serial) $(cat /sys/block/$disk/queue/write_cache)
done
say change; echo "write back" > /sys/block/vda/cache_type; cat /sys/block/vda/queue/write_cache
say write; echo written > /dev/vda; sync; echo $?
say refused; echo written 2> /dev/null > /dev/vdb; echo $?
say read; head -c 4 /dev/vdb; echo
say scratch
mke2fs /dev/vdc > /dev/null && mount -t ext4 /dev/vdc /mnt && head -c 1000000 /dev/urandom > /mnt/blob && sha256sum /mnt/blob > /tmp/sum
umount /mnt; echo 3 > /proc/sys/vm/drop_caches; mount -t ext4 -o ro /dev/vdc /mnt && sha256sum -c /tmp/sum; touch /mnt/x 2>&1
say virtio; ls -l /sys/bus/virtio/devices | sed -n 's/.*-> //p'
say interrupts; grep virtio /proc/interrupts
say iomem; grep '^[0-9a-f].*LNRO' /proc/iomem
say memory; dmesg | grep BIOS-e820
say errors; dmesg -r | grep '^<[0-3]>'
`,
  });
  const report = await machine.check();
  const { code, stderr } = await machine.run();
  const image = await Deno.readFile(`${machine.folder}/root.img`);
  return {
    code,
    stderr: new TextDecoder().decode(stderr),
    said: sections(machine.text("console.log")),
    serial: machine.text("serial.log"),
    log: machine.text("vireo.log"),
    written: new TextDecoder().decode(image.subarray(0, 8)),
    machine: report["machine"] as Record<string, unknown>,
  };
});

Deno.test(
  "run ends with 0 as the guest powers off, and logs to its file alone",
  NEEDS,
  async () => {
    const { code, stderr, log } = await everything();
    assertEquals([code, stderr], [0, ""]);
    assertMatch(log, /^\S+ lab: The guest powered off\n$/);
  },
);

Deno.test(
  "run gives Linux the sockets, cores and threads of the file, and room for more (row 2.4)",
  NEEDS,
  async () => {
    const { said } = await everything();
    assertEquals([said["online"], said["possible"]], ["0-3", "0-7"]);
    assertEquals(said["topology"]?.split("\n"), ["0 0 0-1", "0 0 0-1", "0 1 2-3", "0 1 2-3"]);
  },
);

Deno.test("run hides the features that the file takes away (row 2.3)", NEEDS, async () => {
  const flags = ((await everything()).said["flags"] ?? "").split(" ");
  assertEquals(["rdrand", "avx2"].filter((name) => flags.includes(name)), []);
  assertEquals(["sse4_2", "aes"].filter((name) => !flags.includes(name)), []);
});

Deno.test("run shows Linux the machine's UUID in its DMI (row 2.1)", NEEDS, async () => {
  const { said } = await everything();
  assertEquals([said["uuid"], said["vendor"]], [UUID, "Vireo\nVireo microvm"]);
});

Deno.test(
  "run gives Linux each disk with its size, mode, serial number and cache (row 0.26)",
  NEEDS,
  async () => {
    const { said, written } = await everything();
    assertEquals(said["disks"]?.split("\n"), [
      "vda 2048 0 root-1 write through",
      "vdb 2048 1 disk1 write back",
      "vdc 8192 0 scratch write back",
    ]);
    assertEquals([said["change"], said["write"], written], ["write back", "0", "written\n"]);
    assertEquals([said["refused"] !== "0", said["read"]], [true, "AAAA"]);
  },
);

Deno.test(
  "run gives Linux a disk of nothing but a size, to keep files on (row 0.26)",
  NEEDS,
  async () => {
    const { said } = await everything();
    assertMatch(said["scratch"] ?? "", /^\/mnt\/blob: OK\ntouch: \/mnt\/x: Read-only file system$/);
  },
);

Deno.test(
  "run gives Linux the devices that check shows, with their addresses and interrupts (rows 0.15, 0.16)",
  NEEDS,
  async () => {
    const { said, machine } = await everything();
    const all = machine["devices"] as {
      readonly kind: string;
      readonly gsi: number;
      readonly windows: readonly { readonly base: number; readonly size: number }[];
    }[];
    const devices = all.filter(({ kind }) => kind.startsWith("virtio-mmio"));
    assertEquals(devices.map(({ kind }) => kind.split(" ")[1]), [
      "console",
      "blk",
      "blk",
      "blk",
      "rng",
    ]);
    assertEquals(
      said["virtio"]?.split("\n"),
      devices.map((_, n) => `../../../devices/platform/LNRO0005:0${n}/virtio${n}`),
    );
    const found = (said["interrupts"] ?? "").split("\n").map((line) => [
      Number(/(\d+)-edge/.exec(line)?.[1]),
      /virtio\d/.exec(line)?.[0],
    ]);
    assertEquals(found, devices.map(({ gsi }, n) => [gsi, `virtio${n}`]));
    const windows = (said["iomem"] ?? "").split("\n").map((line) =>
      line.trim().split(/[- ]/).slice(0, 2)
    );
    const hex = (address: number) => address.toString(16);
    assertEquals(
      windows,
      devices.map(({ windows: [window] }) =>
        window === undefined ? [] : [hex(window.base), hex(window.base + window.size - 1)]
      ),
    );
  },
);

Deno.test(
  "run gives Linux the serial port beside the console, and nothing to complain about",
  NEEDS,
  async () => {
    const { said, serial } = await everything();
    assertEquals(
      (said["errors"] ?? "").replaceAll(/^<\d>\[ *[\d.]+\] /gm, ""),
      "PCI: Fatal: No config space access function found",
    );
    assert(!lines(serial).includes("==="), serial);
  },
);
