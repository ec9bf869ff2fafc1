/**
 * What the last run of the suite did, kept in the cache for `deno task rows`.
 *
 * @module
 */
import { defaultCacheFolder, makeFolder, writeWhole } from "../../src/boot/cache_folder.ts";
import type { KvmKind } from "../../src/kvm/host_kvm.ts";
import type { Part } from "./result.ts";

/** A run of the whole suite. */
export interface RunRecord {
  /** When it ended, ISO 8601. */
  readonly at: string;
  readonly hostKvm: KvmKind;
  readonly parts: readonly Part[];
}

/** Keeps the record of a run, in place of the one before. */
export async function writeRecord(record: RunRecord): Promise<void> {
  const folder = recordFolder();
  await makeFolder(folder);
  await writeWhole(`${folder}/last_run.json`, JSON.stringify(record));
}

/** The record of the last run, or `undefined` where there was none. */
export async function readRecord(): Promise<RunRecord | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(`${recordFolder()}/last_run.json`)) as RunRecord;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function recordFolder(): string {
  return `${defaultCacheFolder()}/tests`;
}
