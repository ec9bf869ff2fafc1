import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError, VireoError } from "../../src/base/errors.ts";
import { bootArguments, bootHelp, parseBootOptions } from "../../src/cli/boot_options.ts";
import { bootConfig, taskOf } from "../../src/cli/boot_session.ts";
import { realPaths, rigMounts } from "../../src/cli/boot_in_rig.ts";
import { statusOfEnd } from "../../src/cli/boot.ts";

Deno.test("parseBootOptions() gives two vCPUs and 512 MiB by default", () => {
  assertEquals(parseBootOptions([]), {
    cpus: 2,
    memory: 512 * 2 ** 20,
    disks: [],
    cmdline: "",
    kernel: undefined,
    initrd: undefined,
    exec: undefined,
    timeout: undefined,
    onReboot: "exit",
    rig: "auto",
    verbose: false,
    bootTimer: false,
    help: false,
  });
});

Deno.test("parseBootOptions() reads every option", () => {
  const options = parseBootOptions([
    ...["--cpus", "8", "--memory", "2G", "--disk", "a,b.img", "--disk", "b.img,readonly"],
    ...["--cmdline", "nokaslr", "--kernel", "k", "--exec", "echo 'a\nb'", "--timeout", "30s"],
    ...["--on-reboot", "restart", "--rig=never", "--verbose", "--boot-timer", "--help"],
  ]);
  assertEquals(options, {
    cpus: 8,
    memory: 2 ** 31,
    disks: [{ path: "a,b.img", readonly: false }, { path: "b.img", readonly: true }],
    cmdline: "nokaslr",
    kernel: "k",
    initrd: undefined,
    exec: "echo 'a\nb'",
    timeout: 30_000,
    onReboot: "restart",
    rig: "never",
    verbose: true,
    bootTimer: true,
    help: true,
  });
});

Deno.test("parseBootOptions() refuses what cannot be meant", () => {
  const refuse = (args: string[], message: string) =>
    assertThrows(() => parseBootOptions(args), ConfigError, message);
  for (const cpus of ["0", "256", "abc", "-1", "1.5", ""]) refuse(["--cpus", cpus], "--cpus: ");
  refuse(["--memory", "0"], '"0" is too small');
  refuse(["--memory", "1025G"], '"1025G" is no multiple of 4 KiB up to 1 TiB');
  refuse(["--memory", "1025K"], '"1025K" is no multiple of 4 KiB');
  refuse(["--disk", ""], "--disk: The path is empty");
  refuse(["--disk", ",readonly"], "--disk: The path is empty");
  refuse(["--kernel", "a\0b"], "--kernel: The path is empty or holds NUL");
  refuse(["--cmdline", "a\nb"], "--cmdline: It holds a NUL or a newline");
  refuse(["--exec", "\0"], "--exec: The command holds a NUL byte");
  refuse(["--on-reboot", "never"], '--on-reboot: "never" is none of exit, restart');
  refuse(["--exec", "true", "--initrd", "i"], "--exec: It needs Vireo's own initramfs");
});

Deno.test("bootHelp() names every option and every exit status", () => {
  const help = bootHelp();
  const words = ["--cpus N", "--memory SIZE", "--disk PATH[,readonly]", "--cmdline TEXT"];
  words.push("--kernel PATH", "--initrd PATH", "--exec CMD", "--timeout TIME", "--verbose");
  words.push("--on-reboot exit|restart", "--rig auto|never|always", "Ctrl-A x", "128+n", "125");
  for (const word of words) assertEquals(help.includes(word), true, word);
  for (const status of ["0", "1", "2", "3", "4", "5", "6"]) {
    assertEquals(new RegExp(`^  ${status}  `, "m").test(help), true, status);
  }
});

Deno.test("bootConfig() puts the shell on the terminal and its report on a port", () => {
  const terminal = { hasKeys: true, size: { columns: 100, rows: 30 } };
  const config = bootConfig(parseBootOptions([]), terminal);
  assertEquals(config.console, { input: 0, output: 1, escape: true, columns: 100, rows: 30 });
  assertEquals(config.ports?.map(({ name }) => name), ["vireo.control"]);
  assertEquals(config.serial, { input: -1, output: -1 });
});

Deno.test("bootConfig() gives a command three channels of its own and no terminal", () => {
  const config = bootConfig(parseBootOptions(["--exec", "true", "--verbose"]), undefined);
  assertEquals(config.console, null);
  assertEquals(config.ports?.map(({ name, input, output }) => [name, input, output]), [
    ["vireo.control", -1, -1],
    ["vireo.stdin", 0, -1],
    ["vireo.stdout", -1, 1],
    ["vireo.stderr", -1, 2],
  ]);
  assertEquals(config.serial, { input: -1, output: 2 });
});

Deno.test("taskOf() greets the one at the terminal, and gives a command nothing but itself", () => {
  const shell = { exec: undefined, cpus: 2, memory: 2 ** 29, bootTimer: false };
  const { greeting } = taskOf(shell, { hasKeys: true });
  assertEquals(
    greeting,
    ", 2 vCPUs, 512 MiB; `exit` powers off, Ctrl-A x quits, Ctrl-A h helps",
  );
  const piped = taskOf({ ...shell, cpus: 1, memory: 2 ** 30 }, { hasKeys: false });
  assertEquals(piped.greeting, ", 1 vCPU, 1024 MiB; `exit` powers off");
  const command = { ...shell, exec: "true", bootTimer: true };
  assertEquals(taskOf(command, undefined), { command: "true", timer: true });
});

Deno.test("statusOfEnd() gives each end the status that the help tells", () => {
  const status = (end: Parameters<typeof statusOfEnd>[0]) => statusOfEnd(end, { exec: undefined });
  assertEquals(status({ kind: "powered-off" }), 0);
  assertEquals(status({ kind: "quit" }), 0);
  assertEquals(status({ kind: "crashed", text: "" }), 4);
  assertEquals(status({ kind: "timeout" }), 5);
  assertEquals(status({ kind: "reboot" }), 6);
  assertEquals(status({ kind: "signal", signal: "SIGTERM" }), 143);
  assertEquals(status({ kind: "signal", signal: "SIGHUP" }), 129);
});

Deno.test("statusOfEnd() is 125 for all but a command's own end and a signal", () => {
  const status = (end: Parameters<typeof statusOfEnd>[0]) => statusOfEnd(end, { exec: "true" });
  assertEquals(status({ kind: "command", status: 7 }), 7);
  assertEquals(status({ kind: "signal", signal: "SIGINT" }), 130);
  for (const kind of ["powered-off", "quit", "timeout", "reboot"] as const) {
    assertEquals(status({ kind }), 125);
  }
  assertEquals(status({ kind: "crashed", text: "" }), 125);
});

Deno.test("bootArguments() are parsed to the same options, with absolute paths", () => {
  const options = parseBootOptions([
    ...["--cpus", "3", "--memory", "3329M", "--disk", "/a,b.img", "--disk", "/b.img,readonly"],
    ...["--cmdline", "a=b c", "--kernel", "/k", "--exec", "echo '=' --x", "--timeout", "1.5s"],
    ...["--on-reboot", "restart", "--rig=always", "--verbose"],
  ]);
  assertEquals(parseBootOptions(bootArguments(options)), options);
  const relative = bootArguments(parseBootOptions(["--disk", "a.img", "--initrd", "i"]));
  assertEquals(relative.includes(`--disk=${Deno.cwd()}/a.img`), true);
  assertEquals(relative.includes(`--initrd=${Deno.cwd()}/i`), true);
});

Deno.test("rigMounts() brings the folders of all that is booted", () => {
  const files = { kernel: "/k/vmlinuz", initrd: "/cache/a.cpio", ownInit: true };
  const disks = [{ path: "/d/a.img" }, { path: "/k/b.img", readonly: true }];
  assertEquals(rigMounts({ disks }, files), [
    { path: "/k", mode: "shared" },
    { path: "/cache", mode: "constant" },
    { path: "/d", mode: "shared" },
  ]);
});

Deno.test("realPaths() finds what lies behind links, such as /vmlinuz", async () => {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  await Deno.mkdir(`${folder}/boot`);
  await Deno.writeTextFile(`${folder}/boot/vmlinuz-6.1`, "");
  await Deno.symlink("boot/vmlinuz-6.1", `${folder}/vmlinuz`);
  const link = `${folder}/vmlinuz`;
  const given = parseBootOptions(["--disk", `${link},readonly`]);
  const { options, files } = realPaths(given, { kernel: link, initrd: link, ownInit: false });
  await Deno.remove(folder, { recursive: true });
  const path = `${folder}/boot/vmlinuz-6.1`;
  assertEquals(files, { kernel: path, initrd: path, ownInit: false });
  assertEquals(options, { ...given, disks: [{ path, readonly: true }] });
  assertEquals(rigMounts(options, files).map((mount) => mount.path), [`${folder}/boot`]);
  assertThrows(
    () => realPaths(given, { kernel: link, initrd: link, ownInit: true }),
    VireoError,
    `Cannot find "${link}"`,
  );
});

Deno.test("rigMounts() refuses folders that the rig has itself", () => {
  const files = { kernel: "/k/vmlinuz", initrd: "/cache/a.cpio", ownInit: true };
  for (const path of ["/disk.img", "/dev/sda", "/dev/disk/by-id/x"]) {
    assertThrows(
      () => rigMounts({ disks: [{ path }] }, files),
      VireoError,
      `The rig cannot share "${path}"; copy it to another folder`,
    );
  }
});
