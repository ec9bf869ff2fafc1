/**
 * `boot` with one of its workers replaced by one that fails: `throwing_boot.ts WORKER [OPTION]...`, where WORKER is the name of the
 * worker's module.
 */

import { boot } from "../../src/cli/boot.ts";

const [replaced = "", ...options] = Deno.args;

globalThis.Worker = class extends Worker {
  constructor(module: string | URL, how?: WorkerOptions) {
    const isReplaced = String(module).endsWith(`/${replaced}.ts`);
    super(isReplaced ? new URL("./throwing_worker.ts", import.meta.url) : module, how ?? {});
  }
};

Deno.exit(await boot(["--rig=never", ...options]));
