/**
 * What a guest says of itself while it runs.
 *
 * @module
 */

import { RateLimit } from "../base/rate_limit.ts";
import { parseControlLine, PORT } from "../boot/control_protocol.ts";
import type { DeviceMessage } from "../machine/events.ts";
import type { Stop } from "./stop_request.ts";

/** Whom a report's news concern. */
export interface GuestReportOwner {
  /** Asks for an end: Ctrl-A x was typed. */
  stop(stop: Stop): void;
  /** Says a line to the user. */
  say(line: string): void;
}

/** What one guest has told us, from its start to its end. */
export class GuestReport {
  readonly #owner: GuestReportOwner;
  /** Whoever is root in the guest may write to init's port, as often as it likes. */
  readonly #complaints = new RateLimit(3, 0.2);
  #ready: boolean;
  #status: number | undefined;
  #lost: string | undefined;

  /**
   * @param tellsReady whether the guest's init is ours, and says when it is through
   * @param owner whom the news concern
   */
  constructor(tellsReady: boolean, owner: GuestReportOwner) {
    this.#ready = !tellsReady;
    this.#owner = owner;
  }

  /** Its init is through. True from the start where the init is not ours and won't tell. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Status of the command that it ran, if that has ended. */
  get status(): number | undefined {
    return this.#status;
  }

  /** Why our stdout did not take all of the command's, if that is no choice of its reader. */
  get lost(): string | undefined {
    return this.#lost;
  }

  /** A device speaks: the terminal's Ctrl-A x, a line of init, or a port whose output fails. */
  hear(message: DeviceMessage): void {
    if (message["port"] === PORT.stdout && "lost" in message) this.#lost = String(message["lost"]);
    if (message["key"] === "quit") this.#owner.stop({ kind: "quit" });
    if (message["port"] !== PORT.control) return;
    const said = parseControlLine(String(message["line"]));
    switch (said.kind) {
      case "ready":
        this.#ready = true;
        break;
      case "exit":
        this.#status ??= said.status;
        break;
      case "malformed":
        this.#complain(said.text);
        break;
      default:
        throw said satisfies never;
    }
  }

  #complain(text: string): void {
    const { suppressed } = this.#complaints;
    if (!this.#complaints.allows()) return;
    const more = suppressed === 0 ? "" : ` (and ${suppressed} lines before it)`;
    this.#owner.say(`vireo: the guest's init sent ${text}, which means nothing${more}`);
  }
}
