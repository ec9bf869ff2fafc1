/**
 * Bounds of time on a busy host.
 *
 * @module
 */

/**
 * How many times longer than on a quiet host something may take here and now: 1 as long as there is a processor for each thread
 * that wants one. A bound that is multiplied by it means the same wherever it is checked.
 */
export function overload(): number {
  return Math.max(1, (Deno.loadavg()[0] ?? 0) / navigator.hardwareConcurrency);
}
