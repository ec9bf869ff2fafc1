import { assertEquals } from "@std/assert";
import {
  importCycles,
  modulesBelow,
  reachable,
  readImportGraph,
  startedModules,
  workerEntries,
  wrongImports,
} from "./support/import_graph.ts";
import { requirement } from "./support/require.ts";

const ROOT = new URL("../", import.meta.url);

Deno.test("src imports point left only", requirement("ffi"), async () => {
  const graph = await readImportGraph(ROOT, await modulesBelow(ROOT, "src"));
  assertEquals(wrongImports(graph), []);
});

Deno.test("src has no import cycles", requirement("ffi"), async () => {
  const graph = await readImportGraph(ROOT, await modulesBelow(ROOT, "src"));
  assertEquals(importCycles(graph), []);
});

/** What a user starts or imports. */
const ENTRIES = ["src/main.ts", "src/mod.ts", "src/compile.ts", "src/rig/main.ts"];

Deno.test("src has no module that nothing reaches", requirement("ffi"), async () => {
  const modules = await modulesBelow(ROOT, "src");
  const graph = await readImportGraph(ROOT, modules);
  const entries = [...ENTRIES, ...await startedModules(ROOT, modules)];
  const reached = reachable(graph, entries);
  // Wrappers that tests alone use belong to the import map.
  const left = modules.filter((module) => !reached.has(module) && !module.startsWith("src/std/"));
  assertEquals(left, []);
});

Deno.test(
  "compile.include lists every worker entry, and nothing else",
  requirement("ffi"),
  async () => {
    const config = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
    const entries = await workerEntries(ROOT, await modulesBelow(ROOT, "src"));
    assertEquals(config.compile.include, entries.map((entry) => `./${entry}`));
  },
);

Deno.test("worker entries have file names of their own", requirement("ffi"), async () => {
  const entries = await workerEntries(ROOT, await modulesBelow(ROOT, "src"));
  const names = entries.map((entry) => entry.split("/").at(-1));
  assertEquals(names, [...new Set(names)]);
});

/** Writes a project of these modules and gives its folder. */
async function project(modules: Readonly<Record<string, string>>): Promise<URL> {
  const root = new URL(`file://${await Deno.makeTempDir({ prefix: "vireo-layers-" })}/`);
  const map = { imports: { "@std/path": "./src/std/path.ts" } };
  await Deno.writeTextFile(new URL("deno.json", root), JSON.stringify(map));
  for (const [path, text] of Object.entries(modules)) {
    await Deno.mkdir(new URL(".", new URL(path, root)), { recursive: true });
    await Deno.writeTextFile(new URL(path, root), text);
  }
  return root;
}

async function judge(modules: Readonly<Record<string, string>>): Promise<string[]> {
  const root = await project(modules);
  try {
    const graph = await readImportGraph(root, await modulesBelow(root, "src"));
    return [...wrongImports(graph), ...importCycles(graph)];
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("the layering test catches an import to the right", requirement("ffi"), async () => {
  const wrong = await judge({
    "src/bus/bus.ts": `import "../machine/machine.ts";\n`,
    "src/machine/machine.ts": "export {};\n",
  });
  assertEquals(wrong, [
    "src/bus/bus.ts imports ../machine/machine.ts: machine is not left of bus",
  ]);
});

Deno.test(
  "the layering test catches a type imported from the right",
  requirement("ffi"),
  async () => {
    const wrong = await judge({
      "src/kvm/vm.ts": `import type { Bus } from "../bus/bus.ts";\nexport type B = Bus;\n`,
      "src/bus/bus.ts": "export interface Bus {}\n",
    });
    assertEquals(wrong, ["src/kvm/vm.ts imports ../bus/bus.ts: bus is not left of kvm"]);
  },
);

Deno.test(
  "the layering test catches a neighbour of the same rank",
  requirement("ffi"),
  async () => {
    const wrong = await judge({
      "src/storage/http.ts": `import "../network/tap.ts";\n`,
      "src/network/tap.ts": "export {};\n",
    });
    assertEquals(wrong, [
      "src/storage/http.ts imports ../network/tap.ts: network is not left of storage",
    ]);
  },
);

Deno.test("the layering test catches a cycle inside a room", requirement("ffi"), async () => {
  const wrong = await judge({
    "src/bus/a.ts": `import "./b.ts";\n`,
    "src/bus/b.ts": `import "./c.ts";\n`,
    "src/bus/c.ts": `import "./a.ts";\n`,
  });
  assertEquals(wrong, ["src/bus/a.ts → src/bus/b.ts → src/bus/c.ts → src/bus/a.ts"]);
});

Deno.test("the layering test catches a package and a bare name", requirement("ffi"), async () => {
  const wrong = await judge({
    "src/base/text.ts": `import "node:fs";\n`,
    "src/boot/files.ts": `import "@std/path";\n`,
    "src/cli/boot.ts": `import "@std/path";\nimport "../boot/files.ts";\n`,
    "src/std/path.ts": "export {};\n",
  });
  assertEquals(wrong, [
    "src/base/text.ts imports node:fs: it leads out of src; only src/std names packages",
    "src/boot/files.ts imports @std/path: bare names are for cli, tests and examples; " +
    "import the wrapper by its path",
  ]);
});

Deno.test("the layering test tells what nothing reaches", requirement("ffi"), async () => {
  const root = await project({
    "src/main.ts": `import "./cli/boot.ts";\n`,
    "src/cli/boot.ts": `new URL("../rig/agent.ts", import.meta.url);\n`,
    "src/rig/agent.ts": "export {};\n",
    "src/rig/lonely.ts": `import "./agent.ts";\n`,
  });
  const modules = await modulesBelow(root, "src");
  const graph = await readImportGraph(root, modules);
  const reached = reachable(graph, ["src/main.ts", ...await startedModules(root, modules)]);
  await Deno.remove(root, { recursive: true });
  assertEquals(modules.filter((module) => !reached.has(module)), ["src/rig/lonely.ts"]);
});

Deno.test("the layering test finds worker entries", requirement("ffi"), async () => {
  const root = await project({
    "src/machine/machine.ts":
      `new Worker(\n  new URL("../vcpu/vcpu_worker.ts", import.meta.url),\n  { type: "module" });\n`,
    "src/vcpu/vcpu_worker.ts": "export {};\n",
  });
  assertEquals(await workerEntries(root, await modulesBelow(root, "src")), [
    "src/vcpu/vcpu_worker.ts",
  ]);
  await Deno.remove(root, { recursive: true });
});
