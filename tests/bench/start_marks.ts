/**
 * When a program reached what; imported first, so that its first mark comes when all modules are loaded and none has run.
 *
 * @module
 */

/** Milliseconds since the epoch by name, in order. */
export const marks: Record<string, number> = {};

/** Notes the time. */
export function mark(name: string): void {
  marks[name] = performance.timeOrigin + performance.now();
}

mark("process, modules loaded");
