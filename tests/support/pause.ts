/**
 * Waiting in tests, for what nobody tells of.
 *
 * @module
 */

/** Waits so many milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
