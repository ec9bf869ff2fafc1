/** This process' threads. */

import { pause } from "../support/pause.ts";

/** Names of the threads that run vCPUs, sorted. */
export function vcpuThreads(): string[] {
  return threadNames().filter((name) => name.startsWith("vcpu_")).sort();
}

/** Waits until no thread runs a vCPU any more; gives those that still do after 10 s. */
export function vcpuThreadsLeft(): Promise<string[]> {
  return threadsLeft("vcpu_");
}

/** Waits until there is no thread whose name begins so; gives those that there still are after 10 s. */
export async function threadsLeft(prefix: string): Promise<string[]> {
  const deadline = performance.now() + 10_000;
  const left = () => threadNames().filter((name) => name.startsWith(prefix));
  while (left().length > 0 && performance.now() < deadline) {
    await pause(50);
  }
  return left();
}

/** Names of all threads. */
export function threadNames(): string[] {
  return [...Deno.readDirSync("/proc/self/task")].flatMap(({ name }) => {
    try {
      return [Deno.readTextFileSync(`/proc/self/task/${name}/comm`).trim()];
    } catch {
      // It has ended since the folder was listed.
      return [];
    }
  });
}
