/** Where the console, the serial port and the entropy of `vireo run` are connected to. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { EAGAIN, O_NOCTTY, O_NONBLOCK, O_RDWR } from "../../src/abi/linux.ts";
import { Fd } from "../../src/host/fd.ts";
import { read, write } from "../../src/host/file.ts";
import { linuxRequirement } from "../support/linux_guest.ts";
import { pause } from "../support/pause.ts";
import { lines, RunMachine, until } from "./run_machine.ts";

const NEEDS = linuxRequirement();
const MEMORY = '[memory]\nsize = "128M"\n';
/** Answers a line, then ends. */
const ANSWER = 'echo "name?"; read -r name; echo "hello $name"';
const SECTOR = 512;

Deno.test("run has its console on stdin and stdout (row 0.25)", NEEDS, async () => {
  using machine = await RunMachine.make({ toml: MEMORY, script: ANSWER });
  await using running = machine.start("piped");
  await running.sees("name?");
  await running.type("vireo\n");
  await running.sees("hello vireo");
  const { code, stdout } = await running.end();
  assertEquals([code, lines(stdout)], [0, "name?\nhello vireo\n"]);
});

Deno.test("run has its serial port on stdin and stdout", NEEDS, async () => {
  using machine = await RunMachine.make({
    toml: `${MEMORY}[console]\nbackend = "none"\n[serial]\nbackend = "stdio"\n`,
    script: ANSWER,
    output: "/dev/ttyS0",
  });
  await using running = machine.start("piped");
  await running.sees("name?");
  await running.type("vireo\n");
  await running.sees("hello vireo");
  assertEquals((await running.end()).code, 0);
});

Deno.test("run has its console on a pseudo-terminal, and says which", NEEDS, async () => {
  using machine = await RunMachine.make({
    toml: `${MEMORY}[console]\nbackend = "pty"\n[log]\nfile = "vireo.log"\n`,
    script: ANSWER,
  });
  await using running = machine.start();
  const said = /The console is (\/dev\/pts\/\d+)/;
  await until("the log names it", () => said.test(machine.text("vireo.log")));
  const [, path = ""] = said.exec(machine.text("vireo.log")) ?? [];
  // bits: flags of open, lest the terminal becomes ours and ends us with the guest
  using terminal = Fd.open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
  const keys = { read: (bytes: Uint8Array<ArrayBuffer>) => readLater(terminal, bytes) };
  assertEquals(await readTo(keys, "name?\n"), "name?\n");
  write(terminal.number, new TextEncoder().encode("vireo\n"));
  assertEquals(await readTo(keys, "hello vireo\n"), "hello vireo\n");
  assertEquals((await running.end()).code, 0);
});

Deno.test(
  "run listens on Unix sockets for its console and serial port, for one client after another",
  NEEDS,
  async () => {
    using machine = await RunMachine.make({
      toml:
        `${MEMORY}[console]\nbackend = "unix"\npath = "con"\n[serial]\nbackend = "unix"\npath = "ser"\n`,
      script:
        `echo "said to nobody"; read -r line; echo "first $line"; read -r line; echo "then $line"; echo kernel > /dev/ttyS0; sleep 1`,
    });
    // A socket that its owner has left behind.
    const stale = Deno.listen({ transport: "unix", path: `${machine.folder}/con` });
    stale.close();
    await using running = machine.start();
    const first = await connect(`${machine.folder}/con`);
    assertEquals(await readTo(first, "said to nobody\n"), "said to nobody\n");
    await first.write(new TextEncoder().encode("a\n"));
    assertEquals(await readTo(first, "first a\n"), "first a\n");
    first.close();
    const second = await connect(`${machine.folder}/con`);
    const serial = await connect(`${machine.folder}/ser`);
    await second.write(new TextEncoder().encode("b\n"));
    assertEquals(await readTo(second, "then b\n"), "then b\n");
    assertMatch(await readTo(serial, "kernel\r\n"), /kernel\r\n$/);
    second.close();
    serial.close();
    assertEquals((await running.end()).code, 0);
    const left = await Array.fromAsync(Deno.readDir(machine.folder), ({ name }) => name);
    assertEquals(left.filter((name) => name === "con" || name === "ser"), []);
  },
);

Deno.test("run gives a guest the devices of its file and no other (row 2.22)", NEEDS, async () => {
  using machine = await RunMachine.make({
    toml:
      `${MEMORY}[console]\nbackend = "none"\n[serial]\nbackend = "none"\n[rng]\nsource = "none"\n[[disk]]\npath = "said.img"\n`,
    files: { "said.img": new Uint8Array(8 * SECTOR) },
    output: "/tmp/said",
    script: `
      cat /sys/bus/virtio/devices/*/device
      ls /sys/class/misc | grep hw_random; cat /sys/class/misc/hw_random/rng_available
      ls /dev/hvc0
      grep uart: /proc/tty/driver/serial | grep -v unknown
      dd if=/tmp/said of=/dev/vda conv=sync,notrunc bs=512 2> /dev/null
    `,
  });
  const { code, stderr } = await machine.run();
  assertEquals(code, 0, lines(stderr));
  const said = machine.text("said.img").replaceAll("\0", "");
  assertEquals(said, "0x0002\nhw_random\n\nls: /dev/hvc0: No such file or directory\n");
});

Deno.test(
  "run gives entropy no faster than the file says, and from where it says (row 2.31)",
  NEEDS,
  async () => {
    const [maxBytes, period, bytes] = [512, 100, 8192];
    const source = crypto.getRandomValues(new Uint8Array(65536));
    using machine = await RunMachine.make({
      toml:
        `${MEMORY}[console]\nbackend = "file"\npath = "console.log"\n[rng]\nsource = "entropy"\nmax_bytes = ${maxBytes}\nperiod = ${period}\n`,
      files: { entropy: source },
      script: `
      read -r start rest < /proc/uptime
      dd if=/dev/hwrng of=/tmp/random bs=256 count=${bytes / 256} iflag=fullblock 2> /dev/null
      read -r end rest < /proc/uptime
      echo "$start $end"
      xxd -p -c 64 /tmp/random | tail -n 1
    `,
    });
    const { code, stderr } = await machine.run();
    assertEquals(code, 0, lines(stderr));
    const [times = "", last = ""] = lines(machine.text("console.log")).split("\n");
    const [start = NaN, end = NaN] = times.split(" ").map(Number);
    // What lies ready in the guest's driver was asked for before.
    const ready = 2 * maxBytes;
    const fastest = (bytes - ready) / maxBytes * period / 1000;
    assert(
      end - start >= fastest - 0.1,
      `${bytes} bytes in ${end - start} s, faster than ${fastest} s`,
    );
    assertEquals(last.length, 128);
    assert(source.toHex().includes(last), "these bytes are not the file's");
  },
);

/** Reads until a text is there at the end. */
async function readTo(
  from: { read(bytes: Uint8Array<ArrayBuffer>): Promise<number | null> },
  end: string,
): Promise<string> {
  let text = "";
  const bytes = new Uint8Array(65536);
  while (!text.endsWith(end)) {
    const count = await from.read(bytes);
    if (count === null) throw new Error(`It ended after ${text}`);
    text += new TextDecoder().decode(bytes.subarray(0, count));
  }
  return text;
}

/** Reads a nonblocking descriptor as soon as there is something; null at its end. */
async function readLater(fd: Fd, bytes: Uint8Array<ArrayBuffer>): Promise<number | null> {
  for (const start = Date.now(); Date.now() < start + 100_000;) {
    const count = read(fd.number, bytes);
    if (count !== -EAGAIN) return count > 0 ? count : null;
    await pause(20);
  }
  return null;
}

/** Connects as soon as somebody listens. */
async function connect(path: string): Promise<Deno.UnixConn> {
  for (const start = Date.now();;) {
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch (error) {
      if (Date.now() > start + 100_000) throw error;
      await pause(50);
    }
  }
}
