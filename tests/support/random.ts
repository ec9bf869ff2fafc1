/**
 * Seeded random numbers for fuzz tests. A run starts at a new seed unless `FUZZ_SEED` gives one; a failure names the seed
 * that makes the same failure the first round of the next run.
 *
 * @module
 */

/** Rounds of a fuzz test in the everyday gate; `FUZZ_ROUNDS` asks for more. */
export const GATE_ROUNDS = 2000;

/** A small fast generator (mulberry32), the same on every machine for the same seed. */
export class Random {
  /** What the generator was started with. */
  readonly seed: number;
  #state: number;

  /** @param seed any integer; its low 32 bits count */
  constructor(seed: number) {
    this.seed = seed >>> 0;
    this.#state = this.seed;
  }

  /** 32 random bits, unsigned. */
  u32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let bits = this.#state;
    bits = Math.imul(bits ^ (bits >>> 15), bits | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return (bits ^ (bits >>> 14)) >>> 0;
  }

  /** An integer from 0 up to but not including `limit`, which may be as large as 2 ** 53. */
  below(limit: number): number {
    if (limit <= 0x1_0000_0000) return Math.floor(this.u32() / 0x1_0000_0000 * limit);
    const wide = (this.u32() % 2 ** 21) * 0x1_0000_0000 + this.u32();
    return wide % limit;
  }

  /** An integer from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True in `share` of the cases: 0 never, 1 always. */
  chance(share: number): boolean {
    return this.u32() < share * 0x1_0000_0000;
  }

  /** One of the list. */
  pick<T>(list: readonly [T, ...T[]]): T {
    return list[this.below(list.length)] ?? list[0];
  }

  /** `count` random bytes. */
  bytes(count: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length: count }, () => this.u32());
  }

  /** A 32-bit value as guests that attack choose them: mostly at the ends of ranges, else anything. */
  hostile32(): number {
    return this.chance(0.5) ? this.u32() : (this.pick(EDGES) + this.between(-2, 2)) >>> 0;
  }
}

const EDGES = [0, 0x10, 0x80, 0x100, 0x1000, 0xffff, 0x1_0000, 0x8000_0000, 0xffff_ffff] as const;

/** How a fuzz test runs. */
export interface FuzzOptions {
  /** Rounds where `FUZZ_ROUNDS` says nothing; {@linkcode GATE_ROUNDS} unless given. */
  readonly rounds?: number;
}

/** Runs `round` many times, each with a generator of its own; what it throws is passed on with its seed in front. */
export function fuzz(
  round: (random: Random, index: number) => void,
  options: FuzzOptions = {},
): void {
  const first = numberFromEnv("FUZZ_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const rounds = numberFromEnv("FUZZ_ROUNDS") ?? options.rounds ?? GATE_ROUNDS;
  for (let index = 0; index < rounds; index++) {
    const seed = (first + index) >>> 0;
    try {
      round(new Random(seed), index);
    } catch (error) {
      throw new Error(`Round ${index} failed; run again with FUZZ_SEED=${seed}: ${error}`, {
        cause: error,
      });
    }
  }
}

/** The variable as a number; undefined where it is absent or may not be read. */
function numberFromEnv(name: string): number | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  const text = state === "granted" ? Deno.env.get(name) : undefined;
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new TypeError(`${name}: "${text}" is not an integer`);
  return value;
}
