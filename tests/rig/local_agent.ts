/**
 * The rig's agent on this machine instead of in L1: everything of a run but QEMU.
 *
 * @module
 */

import { serveAgent } from "../../src/rig/agent.ts";
import type { RunOptions } from "../../src/rig/host_run.ts";
import { Runner } from "../../src/rig/runner.ts";

/** A runner whose agent runs here. */
export class LocalAgent implements AsyncDisposable {
  readonly runner: Runner;
  readonly #connections: readonly [Deno.UnixConn, Deno.UnixConn];
  readonly #served: Promise<void>;

  private constructor(host: Deno.UnixConn, agent: Deno.UnixConn) {
    this.#connections = [host, agent];
    this.#served = serveAgent(agent).catch(() => {});
    this.runner = new Runner(host, () => new Error("the agent is gone"));
  }

  static async start(): Promise<LocalAgent> {
    const folder = await Deno.makeTempDir({ prefix: "vireo-agent-" });
    const path = `${folder}/sock`;
    using listener = Deno.listen({ transport: "unix", path });
    const [agent, host] = await Promise.all([
      listener.accept(),
      Deno.connect({ transport: "unix", path }),
    ]);
    await Deno.remove(folder, { recursive: true });
    const local = new LocalAgent(host, agent);
    await local.runner.ready;
    return local;
  }

  /** Breaks the byte stream, as the death of L1 does. */
  cut(): void {
    this.#connections[1].close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) {
      try {
        connection.close();
      } catch {
        // cut() was first.
      }
    }
    await this.#served;
    await this.runner.closed;
  }
}

/** Outputs of a run as text. */
export class Capture {
  readonly #chunks: Record<"stdout" | "stderr", Uint8Array[]> = { stdout: [], stderr: [] };

  /** Run options that capture both outputs. */
  options(more: Partial<RunOptions> = {}): RunOptions {
    return {
      cwd: "/",
      stdout: (chunk) => void this.#chunks.stdout.push(chunk),
      stderr: (chunk) => void this.#chunks.stderr.push(chunk),
      ...more,
    };
  }

  async bytes(name: "stdout" | "stderr"): Promise<Uint8Array> {
    return new Uint8Array(await new Blob(this.#chunks[name] as BlobPart[]).arrayBuffer());
  }

  async text(name: "stdout" | "stderr"): Promise<string> {
    return new TextDecoder().decode(await this.bytes(name));
  }
}

/** A stream of the given bytes in pieces. */
export function streamOf(bytes: Uint8Array, pieceLength = 50_000): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(at, at + pieceLength));
      at += pieceLength;
    },
  });
}

/** Bytes that no accident repeats. */
export function randomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65536));
  }
  return bytes;
}
