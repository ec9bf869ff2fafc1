/**
 * Listening Unix sockets with a name in the file system.
 *
 * @module
 */

import {
  AF_UNIX,
  EAGAIN,
  ECONNREFUSED,
  ENOENT,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  S_IFSOCK,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SockaddrUn,
} from "../abi/linux.ts";
import { SystemError, VireoError } from "../base/errors.ts";
import { sizeof } from "../base/struct.ts";
import { Fd, openPath } from "./fd.ts";
import { fileStatus } from "./file.ts";
import { check, cString, errno, socketCalls, streamCalls } from "./libc.ts";

/** Most bytes of a socket's path: `sun_path` ends in NUL. */
export const SOCKET_PATH_MAX: number = sizeof(SockaddrUn) - SockaddrUn.sun_path - 1;

/** Who may connect: the socket's owner. A console is as good as a login. */
const MODE = 0o600;
/** Clients that may wait for their turn. */
const BACKLOG = 1;

/** A socket that listens, and whose name goes with it. */
export class UnixListener implements Disposable {
  /** Its descriptor, which never makes anybody wait. */
  readonly fd: Fd;
  readonly #path: string;
  /** Of its name: another program's may be in its place by the time it goes. */
  readonly #identity: string | undefined;

  private constructor(fd: Fd, path: string) {
    this.fd = fd;
    this.#path = path;
    this.#identity = whatIsThere(path)?.identity;
  }

  /**
   * Makes a socket. A stale one of that name, which nobody listens on, is replaced.
   *
   * @param path at most {@linkcode SOCKET_PATH_MAX} bytes
   */
  static open(path: string): UnixListener {
    const context = `Cannot listen on "${path}"`;
    const address = unixAddress(path);
    if (isStaleSocket(path)) unlink(path);
    using fd = newSocket(context);
    const calls = socketCalls();
    // The name gets the mode that its socket has.
    check("fchmod", calls.fchmod(fd.number, MODE) < 0 ? -(errno[0] ?? 0) : 0, context);
    check(
      "bind",
      calls.bind(fd.number, address, address.length) < 0 ? -(errno[0] ?? 0) : 0,
      context,
    );
    check("listen", calls.listen(fd.number, BACKLOG) < 0 ? -(errno[0] ?? 0) : 0, context);
    return new UnixListener(fd.move(), path);
  }

  /** Closes it and removes its name. */
  [Symbol.dispose](): void {
    if (this.fd.closed) return;
    this.fd.close();
    if (whatIsThere(this.#path)?.identity === this.#identity) unlink(this.#path);
  }
}

/**
 * Whether a name can be listened on in place of a socket that nobody listens on any more; false where there is nothing of that name.
 *
 * @throws VireoError where something else has that name, or somebody listens there
 */
export function isStaleSocket(path: string): boolean {
  const there = whatIsThere(path);
  if (there === undefined) return false;
  if (there.type !== S_IFSOCK) {
    throw new VireoError("system", `"${path}" is there and no socket; remove it, or name another`);
  }
  using fd = newSocket(`Cannot look at "${path}"`);
  const address = unixAddress(path);
  const result = socketCalls().connect(fd.number, address, address.length);
  const error = result < 0 ? errno[0] ?? 0 : 0;
  if (error === ECONNREFUSED) return true;
  if (error !== 0 && error !== EAGAIN) {
    throw new SystemError("connect", error, `Cannot see who listens on "${path}"; name another`);
  }
  throw new VireoError(
    "system",
    `Another program listens on "${path}"; stop that, or name another`,
  );
}

/** Takes a client: its descriptor, or a negative errno, `-EAGAIN` where there is none. */
export function acceptClient(listener: number): number {
  const result = streamCalls().accept4(listener, null, null, SOCK_CLOEXEC);
  return result < 0 ? -(errno[0] ?? 0) : result;
}

function newSocket(context: string): Fd {
  // bits: flags of socket
  const type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
  const result = socketCalls().socket(AF_UNIX, type, 0);
  return new Fd(check("socket", result < 0 ? -(errno[0] ?? 0) : result, context));
}

/** `struct sockaddr_un` up to the NUL behind the path. */
function unixAddress(path: string): Uint8Array<ArrayBuffer> {
  const name = new TextEncoder().encode(path);
  if (name.length === 0 || name.length > SOCKET_PATH_MAX || name.includes(0)) {
    throw new VireoError(
      "range",
      `Cannot use "${path}" for a socket: it has ${name.length} bytes of at most ${SOCKET_PATH_MAX}`,
    );
  }
  const bytes = new Uint8Array(SockaddrUn.sun_path + name.length + 1);
  new DataView(bytes.buffer).setUint16(SockaddrUn.sun_family, AF_UNIX, true);
  bytes.set(name, SockaddrUn.sun_path);
  return bytes;
}

/** What has a name, links not followed; undefined for nothing. Deno's own calls ask for all permissions in /dev. */
function whatIsThere(
  path: string,
): { readonly type: number; readonly identity: string } | undefined {
  // bits: flags of open
  const result = openPath(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (result === -ENOENT) return undefined;
  using fd = new Fd(check("open", result, `Cannot look at "${path}"`));
  const { type, device, inode } = fileStatus(fd.number);
  return { type, identity: `${device} ${inode}` };
}

function unlink(path: string): void {
  const name = cString(path);
  const result = socketCalls().unlink(name);
  check("unlink", result < 0 ? -(errno[0] ?? 0) : 0, `Cannot remove "${path}"`);
}
