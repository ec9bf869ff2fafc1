/**
 * The file that an entropy device gives its guest.
 *
 * @module
 */

import { O_NOCTTY, O_NONBLOCK, O_RDONLY, O_RDWR, S_IFCHR, S_IFIFO, S_IFREG } from "../abi/linux.ts";
import { ConfigError, errorText } from "../base/errors.ts";
import { Fd } from "../host/fd.ts";
import { fileStatus } from "../host/file.ts";

/**
 * Opens it so that nobody ever waits for it.
 *
 * @param path of a character device such as /dev/hwrng, a FIFO, or a file, which is given out once
 * @throws ConfigError that says what to do
 */
export function openEntropyFile(path: string): Fd {
  try {
    // bits: flags of open
    using fd = Fd.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    const { type } = fileStatus(fd.number);
    // Open for writing too, a FIFO never comes to its end when a writer leaves.
    if (type === S_IFIFO) return Fd.open(`/proc/self/fd/${fd.number}`, O_RDWR | O_NONBLOCK);
    if (type === S_IFREG || type === S_IFCHR) return fd.move();
    throw refusal(path, "it is no file, character device or FIFO; name another");
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw refusal(path, errorText(error), error);
  }
}

function refusal(path: string, why: string, cause?: unknown): ConfigError {
  return new ConfigError("rng.source", `Cannot take entropy from "${path}": ${why}`, { cause });
}
