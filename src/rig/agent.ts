/**
 * The rig's agent: the program in L1 that starts commands for the host and carries their streams (./frame.ts). L1's init
 * gives it the virtio port as stdin and stdout, and ends L1 when it ends.
 *
 * A run is one process group. A signal goes to the whole group, and what is left of it when the command ends is killed, so
 * one test can't disturb the next.
 *
 * @module
 */

import { errorText } from "../base/errors.ts";
import { Run } from "./agent_run.ts";
import {
  decodeText,
  type Duplex,
  encodeText,
  type Frame,
  FrameKind,
  FrameLink,
  type StartRequest,
} from "./frame.ts";
import { MODULES_LOADED } from "./init.ts";

/** Serves one host over `duplex` until that ends, then kills every run that is still going. */
export async function serveAgent(duplex: Duplex): Promise<void> {
  const agent = new Agent(new FrameLink(duplex));
  await agent.serve();
}

class Agent {
  readonly #link: FrameLink;
  readonly #runs = new Map<number, Run>();
  readonly #starts = new Set<Promise<void>>();

  constructor(link: FrameLink) {
    this.#link = link;
  }

  async serve(): Promise<void> {
    await this.#link.send(0, FrameKind.Ready);
    try {
      await this.#link.receive((frame) => this.#dispatch(frame));
    } finally {
      for (const run of this.#runs.values()) run.abandon();
      await Promise.all(this.#starts);
    }
  }

  #dispatch(frame: Frame): void {
    if (frame.kind === FrameKind.Start) this.#begin(frame);
    else if (frame.kind === FrameKind.Ping) void this.#pong();
    else if (frame.kind === FrameKind.AdjustClock) void this.#adjustClock(frame);
    else this.#runs.get(frame.run)?.handle(frame);
  }

  async #pong(): Promise<void> {
    await this.#link.send(0, FrameKind.Pong, encodeText(`${Date.now()}`));
  }

  async #adjustClock(frame: Frame): Promise<void> {
    await adjustClock(Number(decodeText(frame.payload)));
    await this.#pong();
  }

  #begin(frame: Frame): void {
    const started = this.#start(frame).finally(() => this.#starts.delete(started));
    this.#starts.add(started);
  }

  async #start(frame: Frame): Promise<void> {
    try {
      const request: StartRequest = JSON.parse(decodeText(frame.payload));
      // Known before the first await: the frames of its stdin follow at once.
      const run = new Run(this.#link, frame.run, request);
      this.#runs.set(frame.run, run);
      await run.finish();
    } catch (error) {
      await this.#link.send(frame.run, FrameKind.Failed, encodeText(errorText(error)));
    } finally {
      this.#runs.delete(frame.run);
    }
  }
}

/** Sets L1's clock forward by so many ms, or back. */
async function adjustClock(ms: number): Promise<void> {
  const seconds = (Date.now() + ms) / 1000;
  await new Deno.Command("date", { args: ["-s", `@${seconds}`], stdout: "null" }).output();
}

/** The agent of L1, started by its init: serves the host until that goes. */
export async function runAgent(): Promise<void> {
  await Deno.readFile(MODULES_LOADED);
  await serveAgent({
    read: (buffer) => Deno.stdin.read(buffer),
    write: (bytes) => Deno.stdout.write(bytes),
  });
}

if (import.meta.main) await runAgent();
