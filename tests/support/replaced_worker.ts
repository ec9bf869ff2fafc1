/**
 * Puts a worker of a test's own where Vireo starts one of its own.
 *
 * @module
 */

/**
 * Replaces a worker that is started from now on, until dispose.
 *
 * @param name of Vireo's module: `io_worker`
 * @param module that is run instead
 */
export function replaceWorker(name: string, module: URL): Disposable {
  const Original = globalThis.Worker;
  globalThis.Worker = class extends Original {
    constructor(asked: string | URL, options?: WorkerOptions) {
      super(String(asked).endsWith(`/${name}.ts`) ? module : asked, options ?? {});
    }
  };
  return { [Symbol.dispose]: () => void (globalThis.Worker = Original) };
}
