/**
 * Waiting in tests, for what nobody tells of.
 *
 * @module
 */

/** Waits so many milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits for something that a busy host may take its time for; throws where it does not come in a minute. */
export async function comes(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`Never came: ${condition}`);
    await pause(1);
  }
}
