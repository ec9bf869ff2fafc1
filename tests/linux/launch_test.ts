/** A launched Vireo with a real Linux: what was handed on is what its guest finds. */

import { assertEquals, assertMatch } from "@std/assert";
import { O_RDWR } from "../../src/abi/linux.ts";
import { Fd } from "../../src/host/fd.ts";
import { launch } from "../../src/library/launch.ts";
import { linuxRequirement } from "../support/linux_guest.ts";
import { lines, RunMachine } from "./run_machine.ts";

const NEEDS = linuxRequirement();

Deno.test(
  "launch() gives a guest a disk by its descriptor, whose path leads nowhere (row 2.14)",
  NEEDS,
  async () => {
    using folder = await RunMachine.make({
      toml: '[memory]\nsize = "128M"\n',
      script: "head -n 1 /dev/vda; echo from the guest | dd of=/dev/vda conv=notrunc,fsync 2>&1",
    });
    const path = `${folder.folder}/disk.img`;
    const bytes = new Uint8Array(2 ** 20);
    bytes.set(new TextEncoder().encode("from the host\n"));
    await Deno.writeFile(path, bytes);
    using disk = Fd.open(path, O_RDWR);
    using mine = await Deno.open(path);
    await Deno.remove(path);
    await using machine = await launch(
      [`${folder.folder}/vm.toml`, "--disk", `fd:${disk.number}`],
      { descriptors: [disk.number], options: ["--timeout", "200s"] },
    );
    const said = new Response(machine.stderr).text();
    assertMatch(lines(await new Response(machine.stdout).text()), /^from the host\n/);
    assertEquals((await machine.ended).code, 0, await said);
    const start = new Uint8Array(15);
    await mine.read(start);
    assertEquals(new TextDecoder().decode(start), "from the guest\n");
  },
);
