/**
 * `boot` with one of its workers replaced by one that fails: `throwing_boot.ts WORKER [OPTION]...`, where WORKER is the name of the
 * worker's module.
 */

import { boot } from "../../src/cli/boot.ts";
import { replaceWorker } from "../support/replaced_worker.ts";

const [replaced = "", ...options] = Deno.args;
replaceWorker(replaced, new URL("./throwing_worker.ts", import.meta.url));
Deno.exit(await boot(["--rig=never", ...options]));
