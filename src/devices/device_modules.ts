/**
 * Modules of a program's devices, in the workers: loaded, asked for devices, and blamed for what those throw.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import type { BusDevice } from "../bus/bus_device.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { Back, BackContext } from "./back.ts";
import type { FrontContext } from "./front.ts";

/** The kind of a device whose front, and back if it has one, come of its module. */
export const MODULE_KIND = "module";

/** A module that a worker is to import. */
export interface ModuleUse {
  readonly url: string;
  /** Whose it is, for errors: the first device of it. */
  readonly device: string;
}

/** What a module exports for which half of a device, and what such a half must have. */
const HALVES = {
  front: ["read", "write"],
  back: ["activate", "drain", "resume", "reset", "save", "restore", "close"],
  virtio: ["processQueue"],
} as const;

/** How long the modules of a worker may take to load, in ms. */
const LOAD_TIMEOUT = 20_000;

type Exports = Readonly<Record<string, unknown>>;

/** The modules that a worker has imported. */
export class DeviceModules {
  /** Those of a machine all of whose devices are Vireo's. */
  static readonly none: DeviceModules = new DeviceModules(new Map());
  readonly #modules: ReadonlyMap<string, Exports>;
  readonly #failure: unknown;

  private constructor(modules: ReadonlyMap<string, Exports>, failure?: unknown) {
    this.#modules = modules;
    this.#failure = failure;
  }

  /**
   * Does a worker's work with its modules, at once where there are none. They are loaded before, since nothing is awaited in the
   * loop that the work becomes.
   */
  static whenLoaded(uses: readonly ModuleUse[], work: (modules: DeviceModules) => void): void {
    if (uses.length === 0) work(DeviceModules.none);
    else void DeviceModules.load(uses).then(work);
  }

  /**
   * Imports modules, one after another, up to one that cannot be; {@linkcode DeviceModules.require} tells of that.
   *
   * @param timeout of all, in ms
   */
  static async load(
    uses: readonly ModuleUse[],
    timeout: number = LOAD_TIMEOUT,
  ): Promise<DeviceModules> {
    const modules = new Map<string, Exports>();
    const trouble = new Trouble(timeout);
    try {
      for (const use of uses) modules.set(use.url, await importModule(use, trouble));
      return new DeviceModules(modules);
    } catch (error) {
      return new DeviceModules(modules, error);
    } finally {
      trouble.end();
    }
  }

  /**
   * Sees that all modules are there.
   *
   * @throws VireoError of kind `device` for one that could not be imported, or not in time
   */
  require(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** The front of a device, whose faults name it. */
  front(descriptor: DeviceDescriptor, context: FrontContext): BusDevice {
    return new OwnFront(this.make<BusDevice>(descriptor, "front", descriptor, context), descriptor);
  }

  /** The back of a device. */
  back(descriptor: DeviceDescriptor, context: BackContext): Back {
    return this.make<Back>(descriptor, "back", descriptor, context);
  }

  /**
   * Makes half a device.
   *
   * @param half the export that makes it
   * @param given what the export is called with
   * @throws VireoError of kind `device` where it is not there, throws, or gives something else
   */
  make<Half extends object>(
    descriptor: DeviceDescriptor,
    half: keyof typeof HALVES,
    ...given: readonly unknown[]
  ): Half {
    const { id, module = "" } = descriptor;
    const what = `Cannot make device "${id}" of ${module}`;
    const factory = this.#modules.get(module)?.[half];
    if (typeof factory !== "function") {
      throw new DeviceFault(what, "add one", `it exports no function "${half}"`);
    }
    const made = attempt(what, "see to its module or its options", () => factory(...given));
    const missing = HALVES[half].filter((name) => typeof made?.[name] !== "function");
    if (missing.length === 0) return made as Half;
    const why = `what its "${half}" gives has no ${missing.join(", ")}`;
    throw new DeviceFault(what, "see to its module", why);
  }
}

/** A fault of a program's device: what could not be done, why and what to do, and behind that where it happened. */
class DeviceFault extends VireoError {
  constructor(what: string, next: string, error: unknown) {
    const [why = "", ...frames] = stackOf(error).split(/(?=\n {4}at )/);
    super("device", `${what}: ${why}; ${next}${frames.join("")}`, { cause: error });
  }
}

/** What a device of a program's own has thrown, with the device's name; anything of other devices as it is. */
export function faultOf({ id, module }: DeviceDescriptor, error: unknown): unknown {
  if (module === undefined || error instanceof DeviceFault) return error;
  return new DeviceFault(`Device "${id}" of ${module} failed`, "see to its module", error);
}

/** What ended a worker, as its owner is told. */
export interface WorkerFailure {
  /** A program's device, or a fault of our own. */
  readonly cause: "device-error" | "vcpu-error";
  /** For a person, with a stack. */
  readonly text: string;
}

/** What ended a worker, in plain data. */
export function failureOf(error: unknown): WorkerFailure {
  if (error instanceof DeviceFault) {
    return { cause: "device-error", text: error.message };
  }
  return { cause: "vcpu-error", text: stackOf(error) };
}

/** A front whose faults name its device. */
class OwnFront implements BusDevice {
  readonly #front: BusDevice;
  readonly #descriptor: DeviceDescriptor;

  constructor(front: BusDevice, descriptor: DeviceDescriptor) {
    this.#front = front;
    this.#descriptor = descriptor;
  }

  read(offset: number, size: number): number {
    try {
      return this.#front.read(offset, size);
    } catch (error) {
      throw faultOf(this.#descriptor, error);
    }
  }

  write(offset: number, size: number, value: number): void {
    try {
      this.#front.write(offset, size, value);
    } catch (error) {
      throw faultOf(this.#descriptor, error);
    }
  }

  readWide(offset: number): bigint {
    try {
      return this.#front.readWide?.(offset) ?? 0xffff_ffff_ffff_ffffn;
    } catch (error) {
      throw faultOf(this.#descriptor, error);
    }
  }

  writeWide(offset: number, value: bigint): void {
    try {
      this.#front.writeWide?.(offset, value);
    } catch (error) {
      throw faultOf(this.#descriptor, error);
    }
  }
}

/** What can go wrong while modules load, beside what the load itself throws: its time, and what nobody catches. */
class Trouble {
  readonly #events = new AbortController();
  readonly #failed = Promise.withResolvers<never>();
  readonly #timer: ReturnType<typeof setTimeout>;

  constructor(timeout: number) {
    const { signal } = this.#events;
    this.#timer = setTimeout(() => this.#failed.reject(`more than ${timeout} ms went by`), timeout);
    addEventListener("error", (event) => this.#uncaught(event, event.error), { signal });
    addEventListener("unhandledrejection", (event) => this.#uncaught(event, event.reason), {
      signal,
    });
    this.#failed.promise.catch(() => {});
  }

  /** Rejects with the first of it. */
  get promise(): Promise<never> {
    return this.#failed.promise;
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#events.abort();
  }

  #uncaught(event: Event, error: unknown): void {
    event.preventDefault();
    this.#failed.reject(error);
  }
}

async function importModule({ url, device }: ModuleUse, trouble: Trouble): Promise<Exports> {
  try {
    return await Promise.race([import(url), trouble.promise]);
  } catch (error) {
    const whose = device === "" ? "" : `, the module of device "${device}"`;
    const what = `Cannot load ${url}${whose}`;
    throw new DeviceFault(what, `see that \`deno run -A ${url}\` does`, error);
  }
}

function attempt<Result>(what: string, next: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw new DeviceFault(what, next, error);
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
