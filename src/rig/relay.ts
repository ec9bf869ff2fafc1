/**
 * Somebody else's commands in our rig.
 *
 * @module
 */

import {
  encodeText,
  type Frame,
  FrameKind,
  type FrameLink,
  LastFrame,
  StreamName,
} from "./frame.ts";

/** Carries the runs of one client over another runner's link: same frames, other numbers. */
export class Relay {
  readonly #client: FrameLink;
  readonly #agent: FrameLink;
  readonly #relays: Map<number, Relay>;
  readonly #toAgent = new Map<number, number>();
  readonly #toClient = new Map<number, number>();
  readonly #last = new Map<number, LastFrame>();

  /**
   * @param client link to the client
   * @param agent link to the agent
   * @param relays the runner's table: which numbers at the agent belong to which relay
   */
  constructor(client: FrameLink, agent: FrameLink, relays: Map<number, Relay>) {
    this.#client = client;
    this.#agent = agent;
    this.#relays = relays;
  }

  async serve(allocate: () => number): Promise<void> {
    try {
      await this.#client.send(0, FrameKind.Ready);
      await this.#client.receive((frame) => this.#fromClient(frame, allocate));
    } finally {
      // Their numbers stay with this relay until the agent has reported their end.
      for (const id of this.#toClient.keys()) this.#cancel(id);
    }
  }

  toClient(frame: Frame): void {
    const id = this.#toClient.get(frame.run);
    if (id === undefined) return;
    void this.#client.send(id, frame.kind, frame.payload);
    if (this.#last.get(frame.run)?.is(frame)) this.#forget(frame.run);
  }

  fail(run: number, text: string): void {
    this.toClient({ run, kind: FrameKind.Failed, payload: encodeText(text) });
  }

  #fromClient(frame: Frame, allocate: () => number): void {
    if (frame.kind === FrameKind.Start) {
      const id = allocate();
      this.#toAgent.set(frame.run, id);
      this.#toClient.set(id, frame.run);
      this.#last.set(id, new LastFrame());
      this.#relays.set(id, this);
    }
    const id = this.#toAgent.get(frame.run);
    if (id !== undefined) this.#toRun(id, frame.kind, frame.payload);
  }

  #cancel(id: number): void {
    this.#toRun(id, FrameKind.Signal, encodeText("SIGKILL"));
    this.#toRun(id, FrameKind.Close, Uint8Array.of(StreamName.Stdout));
    this.#toRun(id, FrameKind.Close, Uint8Array.of(StreamName.Stderr));
  }

  #toRun(id: number, kind: number, payload: Uint8Array): void {
    void this.#agent.send(id, kind, payload);
  }

  #forget(id: number): void {
    this.#relays.delete(id);
    this.#last.delete(id);
    this.#toAgent.delete(this.#toClient.get(id) ?? 0);
    this.#toClient.delete(id);
  }
}
