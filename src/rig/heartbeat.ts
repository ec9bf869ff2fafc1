/**
 * Whether L1 still lives, and what time it has.
 *
 * @module
 */

import { decodeText, encodeText, FrameKind, type FrameLink } from "./frame.ts";

/** Largest round trip in ms that says something about L1's clock: it is off by at most half of that. */
const ROUND_TRIP_MAX = 200;
/** Difference in ms from which on L1's clock is set: more than a measurement can be wrong by. */
const CLOCK_TOLERANCE = 200;
/** Round trips that the first setting of the clock may take: the agent's first ones are slow. */
const ATTEMPTS = 10;

/** Pings of one link, answered in their order. */
export class Heartbeat {
  readonly #link: FrameLink;
  readonly #pings: ((agentClock: number) => void)[] = [];

  /** @param link link to the agent */
  constructor(link: FrameLink) {
    this.#link = link;
  }

  /** Pings that the agent has not answered yet. */
  get unanswered(): number {
    return this.#pings.length;
  }

  /** Takes the answer to the oldest ping: L1's clock in ms since 1970. */
  pong(payload: Uint8Array): void {
    this.#pings.shift()?.(Number(decodeText(payload)));
  }

  /** Asks for a sign of life and sets L1's clock where it is off. */
  async beat(): Promise<void> {
    const ahead = await this.#offset();
    if (ahead !== undefined) await this.#correct(ahead);
  }

  /** Sets L1's clock, which starts with whole seconds, and gives up quietly where no round trip is short. */
  async synchronize(): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const ahead = await this.#offset();
      if (ahead === undefined) continue;
      await this.#correct(ahead);
      return;
    }
  }

  /** By how many ms our clock is ahead of L1's; undefined where the answer took too long to tell. */
  async #offset(): Promise<number | undefined> {
    const { sent, clock } = await this.#exchange(FrameKind.Ping);
    const now = Date.now();
    return now - sent <= ROUND_TRIP_MAX ? (sent + now) / 2 - clock : undefined;
  }

  async #correct(ahead: number): Promise<void> {
    if (Math.abs(ahead) > CLOCK_TOLERANCE) await this.#exchange(FrameKind.AdjustClock, ahead);
  }

  async #exchange(kind: number, value?: number): Promise<{ sent: number; clock: number }> {
    const { promise, resolve } = Promise.withResolvers<number>();
    const sent = Date.now();
    this.#pings.push(resolve);
    await this.#link.send(0, kind, value === undefined ? undefined : encodeText(`${value}`));
    return { sent, clock: await promise };
  }
}
