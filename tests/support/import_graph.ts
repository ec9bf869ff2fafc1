/**
 * The project's import graph, as Deno itself sees it, and what is wrong with it.
 *
 * @module
 */

/** The rooms of `src/` in the order in which they may import: only from rooms to the left. */
export const ROOMS = [
  ["std"],
  ["base"],
  ["config"],
  ["abi"],
  ["host"],
  ["kvm"],
  ["memory"],
  ["bus"],
  ["devices"],
  ["storage", "network"],
  ["virtio"],
  ["arch"],
  ["boot"],
  ["vcpu"],
  ["machine"],
  ["library"],
  ["qmp"],
  ["rig"],
  ["cli", "mod.ts"],
  ["main.ts", "compile.ts"],
] as const satisfies readonly (readonly string[])[];

/** Rooms that may name packages by the import map's bare names. */
const BARE_NAMES = ["cli", "main.ts"];

/** An import as it is written and where it leads. */
export interface Import {
  /** As written: `../bus/bus.ts`, `@std/path`, `npm:…`. */
  readonly specifier: string;
  /** Path below the project, or a URL for what lies outside of it. */
  readonly target: string;
}

/** Modules by path below the project, each with its imports, types included. */
export type ImportGraph = ReadonlyMap<string, readonly Import[]>;

interface InfoModule {
  readonly specifier: string;
  readonly error?: string;
  readonly dependencies?: readonly {
    readonly specifier: string;
    readonly code?: { readonly specifier: string };
    readonly type?: { readonly specifier: string };
  }[];
}

/**
 * Reads the graph that starts at `entries`, paths below the project.
 *
 * @param root the project's folder, as a file URL that ends in a slash
 */
export async function readImportGraph(root: URL, entries: readonly string[]): Promise<ImportGraph> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-graph-" });
  try {
    const start = `${folder}/all.ts`;
    const lines = entries.map((entry) => `import ${JSON.stringify(new URL(entry, root).href)};\n`);
    await Deno.writeTextFile(start, lines.join(""));
    const modules = await modulesFrom(start, new URL("deno.json", root));
    return new Map(
      modules.filter((module) => module.specifier.startsWith(root.href))
        .map((module) => [below(root, module.specifier), importsOf(root, module)]),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Every TypeScript module below a folder of the project, sorted. */
export async function modulesBelow(root: URL, folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(new URL(folder, root))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) found.push(...await modulesBelow(root, path));
    else if (/(?<!\.d)\.ts$/.test(entry.name)) found.push(path);
  }
  return found.sort();
}

/** The worker entries that the modules start, each found by its literal URL. */
export async function workerEntries(root: URL, modules: readonly string[]): Promise<string[]> {
  return await modulesNamed(root, modules, /\bnew Worker\(\s*new URL\(\s*"([^"]+\.ts)"/g);
}

/** The modules that other modules name by a literal URL: worker entries, and programs they start. */
export async function startedModules(root: URL, modules: readonly string[]): Promise<string[]> {
  return await modulesNamed(root, modules, /\bnew URL\(\s*"([^"]+\.ts)",\s*import\.meta\.url/g);
}

async function modulesNamed(
  root: URL,
  modules: readonly string[],
  pattern: RegExp,
): Promise<string[]> {
  const named = new Set<string>();
  for (const module of modules) {
    const text = await Deno.readTextFile(new URL(module, root));
    for (const match of text.matchAll(pattern)) {
      named.add(below(root, new URL(match[1] ?? "", new URL(module, root)).href));
    }
  }
  return [...named].sort();
}

/** Imports that lead to a room on the right, to a neighbour of the same rank, or around our wrappers. */
export function wrongImports(graph: ImportGraph): string[] {
  const wrong: string[] = [];
  for (const [module, imports] of graph) {
    for (const { specifier, target } of imports) {
      const reason = wrongBecause(roomOf(module), specifier, target);
      if (reason !== undefined) wrong.push(`${module} imports ${specifier}: ${reason}`);
    }
  }
  return wrong.sort();
}

/** Groups of modules that import each other in a circle. */
export function importCycles(graph: ImportGraph): string[] {
  const cycles = new Set<string>();
  const done = new Set<string>();
  const visit = (module: string, path: readonly string[]): void => {
    const start = path.indexOf(module);
    if (start >= 0) cycles.add([...path.slice(start), module].join(" → "));
    if (start >= 0 || done.has(module)) return;
    for (const { target } of graph.get(module) ?? []) visit(target, [...path, module]);
    done.add(module);
  };
  for (const module of graph.keys()) visit(module, []);
  return [...cycles].sort();
}

/** What can be reached from `entries`. */
export function reachable(graph: ImportGraph, entries: readonly string[]): ReadonlySet<string> {
  const reached = new Set<string>();
  const waiting = [...entries];
  for (let module = waiting.pop(); module !== undefined; module = waiting.pop()) {
    if (reached.has(module)) continue;
    reached.add(module);
    waiting.push(...(graph.get(module) ?? []).map((one) => one.target));
  }
  return reached;
}

function wrongBecause(room: string, specifier: string, target: string): string | undefined {
  if (!target.startsWith("src/")) {
    return room === "std" ? undefined : "it leads out of src; only src/std names packages";
  }
  if (!specifier.startsWith(".") && !BARE_NAMES.includes(room)) {
    return "bare names are for cli, tests and examples; import the wrapper by its path";
  }
  const there = roomOf(target);
  if (there === room) return undefined;
  if (rank(there) < 0) return `${there} is no room`;
  if (rank(there) >= rank(room)) return `${there} is not left of ${room}`;
  return undefined;
}

function roomOf(module: string): string {
  return module.split("/")[1] ?? "";
}

function rank(room: string): number {
  return ROOMS.findIndex((names) => (names as readonly string[]).includes(room));
}

async function modulesFrom(start: string, config: URL): Promise<readonly InfoModule[]> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", `--config=${config.pathname}`, start],
    env: { NO_COLOR: "1" },
  }).output();
  if (!success) {
    throw new Error(`Cannot read the import graph: ${new TextDecoder().decode(stderr)}`);
  }
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: InfoModule[] };
  const broken = modules.find((module) => module.error !== undefined);
  if (broken !== undefined) throw new Error(`Cannot read the import graph: ${broken.error}`);
  return modules;
}

function importsOf(root: URL, module: InfoModule): Import[] {
  return (module.dependencies ?? []).map((one) => ({
    specifier: one.specifier,
    target: below(root, one.code?.specifier ?? one.type?.specifier ?? one.specifier),
  }));
}

function below(root: URL, url: string): string {
  return url.startsWith(root.href) ? url.slice(root.href.length) : url;
}
