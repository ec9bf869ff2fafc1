/**
 * What is left of a PC's keyboard controller: the reset command, and answers by which a driver sees at once that no keyboard is
 * to be had.
 *
 * @module
 */

import { I8042_CMD_RESET, I8042_STR_OBF } from "../abi/devices.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { SharedState } from "../memory/shared_state.ts";
import { ByteDevice, OPEN_BUS } from "./byte_device.ts";
import type { DevicePlan } from "./device_plan.ts";
import type { FrontContext } from "./front.ts";

const DATA = 0;
const COMMAND = 4;

/**
 * Bytes that come out of the data port before it falls silent. Linux empties the port first and finds no controller when more
 * than 16 come, which saves it 0.5 s for each command that nobody answers; who empties it without a limit comes to an end.
 */
const STUCK_BYTES = 255;

/** A keyboard controller for the machine's builder. `dataPort`: 0x60 in a PC; the command port is four ports further. */
export function i8042(options: { readonly id: string; readonly dataPort: number }): DevicePlan {
  const { id, dataPort } = options;
  return {
    kind: "i8042",
    id,
    windows: [
      { bus: "port", base: dataPort + DATA, size: 1, offset: DATA },
      { bus: "port", base: dataPort + COMMAND, size: 1, offset: COMMAND },
    ],
    createState: (state) => createState(state, id),
  };
}

function createState(state: SharedState, id: string): number {
  const offset = state.allocate(4, id);
  state.words[offset / 4] = STUCK_BYTES;
  return offset;
}

/** The two ports. Their state is one word: how many bytes are still to come. */
export class I8042 extends ByteDevice {
  readonly #context: FrontContext;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #word: number;

  /**
   * @param descriptor of kind `i8042`
   * @param context of the isolate that it answers in
   */
  constructor(descriptor: DeviceDescriptor, context: FrontContext) {
    super();
    this.#context = context;
    this.#words = context.state.words;
    this.#word = descriptor.state / 4;
  }

  override readByte(offset: number): number {
    const left = Atomics.load(this.#words, this.#word);
    if (offset === COMMAND) return left > 0 ? I8042_STR_OBF : 0;
    if (offset === DATA && left > 0) {
      Atomics.compareExchange(this.#words, this.#word, left, left - 1);
    }
    return OPEN_BUS;
  }

  override writeByte(offset: number, value: number): void {
    if (offset === COMMAND && value === I8042_CMD_RESET) this.#context.end("reset");
  }
}
