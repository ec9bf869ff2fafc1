/** What the program is asked, and what it answers: one table for the source and for the executable. */

/** One call. `<` in a command line stands for the folder of the fixtures. */
export interface Case {
  /** Words behind `vireo`, split at spaces. */
  readonly args: string;
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A signal, once stdout holds a text. */
  readonly signal?: readonly [after: string, signal: Deno.Signal];
  /** System call that the program is refused with EPERM, as a container's filter may do it. */
  readonly refused?: string;
  readonly status: number;
  /** All of it, with the fixtures' folder as `<`; nothing where absent. */
  readonly stdout?: string | RegExp;
  readonly stderr?: string | RegExp;
}

/** Files of the fixtures' folder besides the guests of tests/support/guest_kernel.ts. */
export const FILES: Readonly<Record<string, string>> = {
  "good.toml": '[kernel]\npath = "off.img"\n[memory]\nsize = "32M"\n' +
    '[console]\nbackend = "none"\n[serial]\nbackend = "stdio"\n[log]\nlevel = "off"\n',
  "bad.toml": 'nme = "x"\n[memory]\nsize = "3M5"\n[cpu]\ncount = 256\n[kernel]\npath = "nowhere"\n',
  "broken.toml": "[memory\n",
  "text.img": "This is no kernel.\n",
  "empty.toml": "",
  "disk.img": " ".repeat(1024),
};

/** What needs no KVM. */
export const WITHOUT_KVM: readonly Case[] = [
  { args: "", status: 2, stderr: /^Usage: vireo COMMAND/ },
  { args: "--help", status: 0, stdout: /^Usage: vireo COMMAND.*\n\n {2}boot .*\n {2}run /s },
  { args: "help", status: 0, stdout: /^Usage: vireo COMMAND/ },
  { args: "--version", status: 0, stdout: /^vireo \d+\.\d+\.\d+ \(Deno [\d.]+, \S+\)\n$/ },
  { args: "ruin", status: 2, stderr: /^vireo: There is no command "ruin"; did you mean "run"\?\n/ },
  { args: "constructor", status: 2, stderr: /^vireo: There is no command "constructor"\n/ },
  { args: "boot --help", status: 0, stdout: /^Boots Linux.*--exec CMD.*128\+n/s },
  { args: "run --help", status: 0, stdout: /^Runs a machine.*--console stdio.*128\+n/s },
  { args: "check --help", status: 0, stdout: /^Checks a machine.*--schema.*memory\.size/s },
  { args: "doctor --help", status: 0, stdout: /^Says whether.*--json/s },
  { args: "kernel --help", status: 0, stdout: /^Takes the uncompressed kernel/ },
  {
    args: "kernel unpack <text.img <none",
    status: 2,
    stderr: /^vireo: .*<text\.img.*\n$/,
  },
  { args: "completion --help", status: 0, stdout: /^Prints what makes a shell complete/ },
  { args: "completion bash", status: 0, stdout: /complete -F _vireo vireo\n$/ },
  { args: "completion zsh", status: 0, stdout: /^#compdef vireo\n/ },
  { args: "completion fish", status: 0, stdout: /complete -c vireo -f\n/ },
  {
    args: "completion tcsh",
    status: 2,
    stderr: 'vireo: completion: "tcsh" is no shell; name bash, zsh or fish\n',
  },
  {
    args: "boot --cpus 0",
    status: 2,
    stderr: 'vireo: --cpus: "0" is no number of vCPUs; give 1 to 255\n',
  },
  {
    args: "boot --exec true --memory x",
    status: 125,
    stderr: /^vireo: --memory: "x" is no size; write a whole number and a unit/,
  },
  {
    args: "boot --kernle x",
    status: 2,
    stderr: "vireo: --kernle: There is no such option; did you mean --kernel?\n",
  },
  {
    args: "run",
    status: 2,
    stderr: "vireo: CONFIG.toml: It is missing; name a file, or give --kernel at least\n",
  },
  { args: "run --cpus", status: 2, stderr: "vireo: --cpus: N is missing behind it\n" },
  {
    args: "run <good.toml <bad.toml",
    status: 2,
    stderr: 'vireo: <bad.toml: There is a file already, "<good.toml"; give one\n',
  },
  {
    args: "run <none.toml",
    status: 2,
    stderr:
      /^<none\.toml: Cannot read it: .*ENOENT.*name a file that you may read\nvireo: 1 mistake\n$/,
  },
  { args: "run <", status: 2, stderr: /^<: It is a folder; name a file\n/ },
  {
    args: "run --kernel <text.img",
    status: 2,
    stderr: /^--kernel: kernel\.path: Cannot load kernel "<text\.img"/,
  },
  { args: "run <good.toml --timeout 0s", status: 2, stderr: /^vireo: --timeout: "0s" is no time/ },
  {
    args: "run <good.toml --console tty",
    status: 2,
    stderr: /^--console: console\.backend: .*stdio/,
  },
  {
    args: "run <good.toml --disk <none.img",
    status: 2,
    stderr: /^--disk: disk\[0\]\.path: .*ENOENT/,
  },
  {
    args: "run <good.toml --set memory.sise=1G",
    status: 2,
    stderr: /^--set: memory\.sise: There is no such key; .*did you mean "size"\?\n/,
  },
  {
    args: "run <good.toml --set nothing",
    status: 2,
    stderr: /^vireo: --set: "nothing" sets nothing/,
  },
  { args: "check", status: 2, stderr: /^vireo: CONFIG\.toml: It is missing/ },
  {
    args: "check <good.toml",
    status: 0,
    stdout: /^Machine "vireo"\n.*memory\.size +"32M".*slot 0 /s,
  },
  {
    args: "check <good.toml --json",
    status: 0,
    stdout: /^\{\n {2}"ok": true,\n {2}"mistakes": \[\],/,
  },
  { args: "check <good.toml --memory 64M --json", status: 0, stdout: /"size": 67108864/ },
  {
    args: "check <bad.toml",
    status: 2,
    stderr:
      /^<bad\.toml:1: nme: .*did you mean "name"\?\n<bad\.toml:3: memory\.size: .*"3M5".*\n<bad\.toml:5: cpu\.count: .*256.*1 to 255\nvireo: 3 mistakes\n$/,
  },
  {
    args: "check <bad.toml --json",
    status: 2,
    stdout: /^\{\n {2}"ok": false,\n.*"key": "nme",.*"line": 1,.*"key": "cpu\.count"/s,
  },
  { args: "check <broken.toml", status: 2, stderr: /^<broken\.toml:1:8: / },
  { args: "check <empty.toml", status: 2, stderr: /^<empty\.toml: kernel\.path: .*missing/ },
  { args: "check --schema", status: 0, stdout: /^\{\n {2}"\$schema": "http:\/\/json-schema\.org/ },
  {
    args: "check --kernel <off.img --memory 1M",
    status: 2,
    stderr: /^--kernel: kernel\.path: .*at least 24 MiB.*\nvireo: 1 mistake\n$/,
  },
  { args: "check --kernel <off.img --memory 1T", status: 0, stdout: /memory\.size +"1T"/ },
  {
    args: "check --kernel <off.img --cpus 256",
    status: 2,
    stderr: /^--cpus: cpu\.count: .*1 to 255/,
  },
  {
    args: "check --kernel <off.img --console unix:<console.sock",
    status: 0,
    stdout: /console\.backend +"unix"\n +console\.path +"<console\.sock"/,
  },
  {
    args:
      "check --kernel <off.img --disk <disk.img,readonly,serial=a --disk <disk.img,readonly --json",
    status: 0,
    stdout: /"readonly": true,\n +"serial": "a".*"id": "disk1"/s,
  },
  {
    args: "check --kernel <off.img --console tcp:1",
    status: 2,
    stderr: /none of stdio, .*unix:PATH/,
  },
  { args: "doctor --jsom", status: 2, stderr: /did you mean --json\?\n$/ },
];

/** Words for a machine on whose serial port our streams are. */
const TINY = "--memory 32M --console none --set serial.backend=stdio --set log.level=error";

/** What guests answer; these need a KVM, however small. */
export const WITH_KVM: readonly Case[] = [
  { args: "run <good.toml", status: 0, stdout: "Hi\n", stderr: "" },
  { args: `run --kernel <off.img ${TINY}`, status: 0, stdout: "Hi\n" },
  { args: `run --kernel <off.img ${TINY} --cpus 2 --set cpu.threads=2`, status: 0, stdout: "Hi\n" },
  { args: `run --kernel <echo.img ${TINY}`, stdin: "abc\nq", status: 0, stdout: "abc\n" },
  {
    args: "run <good.toml --kernel <reset.img --set log.level=error",
    status: 6,
    stdout: "Again\n",
    stderr: "vireo: The guest rebooted\n",
  },
  {
    args: `run --kernel <panic.img ${TINY} --set name=web`,
    status: 4,
    stdout: "Oh\n",
    stderr: "web: The guest's kernel panicked (vCPU 0)\n",
  },
  {
    args: `run --kernel <spin.img ${TINY} --timeout 3s`,
    status: 5,
    stdout: "Ready\n",
    stderr: "vireo: No end within --timeout\n",
  },
  {
    args: `run --kernel <spin.img ${TINY}`,
    signal: ["Ready", "SIGTERM"],
    status: 143,
    stdout: "Ready\n",
    stderr: "vireo: Ended by SIGTERM\n",
  },
  {
    args: `run --kernel <spin.img ${TINY}`,
    signal: ["Ready", "SIGINT"],
    status: 130,
    stdout: "Ready\n",
    stderr: "vireo: Ended by SIGINT\n",
  },
  {
    args: `run --kernel <spin.img ${TINY}`,
    signal: ["Ready", "SIGHUP"],
    status: 129,
    stdout: "Ready\n",
    stderr: "vireo: Ended by SIGHUP\n",
  },
  {
    args: `run --kernel <off.img ${TINY} --console=unix:<console.sock`,
    status: 0,
    stdout: "Hi\n",
  },
  {
    args: `run --kernel <off.img ${TINY} --console file:<console.txt --cmdline quiet`,
    status: 0,
    stdout: "Hi\n",
  },
  {
    args: "run <good.toml --console pty --set log.level=info",
    status: 0,
    stdout: "Hi\n",
    stderr: /^vireo: The console is \/dev\/pts\/\d+$/m,
  },
  {
    args: `run --kernel <off.img ${TINY} --initrd <text.img --disk <disk.img,readonly,serial=a`,
    status: 0,
    stdout: "Hi\n",
  },
  {
    args: `run --kernel <off.img ${TINY} --memory 1T --set memory.hugepages=true`,
    status: 2,
    stderr: /^vireo: memory\.hugepages: /,
  },
];

/** What ends by a fault of the program's own doing; these need strace besides. */
export const OWN_FAULTS: readonly Case[] = [
  {
    args: `run --kernel <spin.img ${TINY}`,
    refused: "timerfd_create",
    status: 1,
    stdout: /^(Ready\n)?$/,
    stderr:
      /^vireo: An I\/O worker failed: SystemError: Cannot make a timer: timerfd_create: EPERM .*\nThe machine is ended, vCPU 0 is stopped at rip 0x[\da-f]+\n$/s,
  },
  {
    args: `run --kernel <spin.img ${TINY}`,
    refused: "rt_sigprocmask",
    status: 1,
    stderr:
      /\nvireo: vCPU 0's worker failed: .*Cannot block the kick's signal: pthread_sigmask: EPERM .*\nThe machine is ended, vCPU 0 is stopped at rip 0x[\da-f]+\n$/s,
  },
];

/** A mistake in a file and in options, and what is said about both. */
export interface Negative {
  readonly what: string;
  /** File of the fixtures' folder; off.img where absent. */
  readonly kernel?: string;
  /** Behind a `[kernel]` with its path. */
  readonly toml: string;
  /** Behind `--kernel` with its path. */
  readonly args: string;
  readonly says: RegExp;
}

/** Mistakes that a description must not get away with. */
export const NEGATIVES: readonly Negative[] = [
  {
    what: "a kernel whose load address is past the RAM",
    kernel: "far.img",
    toml: '[memory]\nsize = "64M"',
    args: "--memory 64M",
    says: /kernel\.path: Cannot load kernel .*needs RAM up to 0x/,
  },
  { what: "no vCPU", toml: "[cpu]\ncount = 0", args: "--cpus 0", says: /cpu\.count: .*1 to 255/ },
  {
    what: "256 vCPUs",
    toml: "[cpu]\ncount = 256",
    args: "--cpus 256",
    says: /cpu\.count: .*1 to 255/,
  },
  {
    what: "abc vCPUs",
    toml: '[cpu]\ncount = "abc"',
    args: "--cpus abc",
    says: /cpu\.count: .*1 to 255/,
  },
  {
    what: "an unknown key",
    toml: "[cpu]\ncuont = 1",
    args: "--set cpu.cuont=1",
    says: /cpu\.cuont: .*did you mean "count"/,
  },
  {
    what: "an unknown table",
    toml: "[cpus]\ncount = 1",
    args: "--set cpus.count=1",
    says: /cpus.*did you mean "cpu"/,
  },
  {
    what: "an empty path",
    toml: '[[disk]]\npath = ""',
    args: "--disk=",
    says: /disk\[0\]\.path: The path is empty/,
  },
  {
    what: "a page less than 1 MiB",
    toml: '[memory]\nsize = "1020K"',
    args: "--memory 1020K",
    says: /memory\.size: .*"1M" to "1T"/,
  },
  {
    what: "a page more than 1 TiB",
    toml: '[memory]\nsize = "1073741828K"',
    args: "--memory 1073741828K",
    says: /memory\.size: .*"1M" to "1T"/,
  },
  {
    what: "a byte more than pages",
    toml: "[memory]\nsize = 1052673",
    args: "--set memory.size=1025K",
    says: /memory\.size: .*multiple of 4K/,
  },
  {
    what: "no RAM",
    toml: "[memory]\nsize = 0",
    args: "--memory 0",
    says: /memory\.size: .*"1M" to "1T"/,
  },
];
