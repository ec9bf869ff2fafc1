/** Opens a KVM device as a user without rights: only this worker's thread is that user. */

import { errorText, SystemError, VireoError } from "../../src/base/errors.ts";
import { Kvm } from "../../src/kvm/kvm.ts";

declare const self: Worker;

const NOBODY = 65534n;
/** Number of setresuid; the C library's own would change every thread of the process. */
const SYS_SETRESUID = 117n;

self.onmessage = ({ data: path }: MessageEvent<string>) => {
  // deno-lint-ignore house/ffi-in-host -- no code of ours changes its user
  const { symbols: { syscall } } = Deno.dlopen("libc.so.6", {
    syscall: { parameters: ["i64", "i64", "i64", "i64"], result: "i64" },
  });
  if (syscall(SYS_SETRESUID, NOBODY, NOBODY, NOBODY) !== 0n) throw new Error("Still root");
  try {
    using _kvm = Kvm.open({ path });
    self.postMessage({ kind: "opened", code: "", message: "" });
  } catch (error) {
    const kind = error instanceof VireoError ? error.kind : "";
    const cause = error instanceof Error ? error.cause : undefined;
    const code = cause instanceof SystemError ? cause.code : "";
    self.postMessage({ kind, code, message: errorText(error) });
  }
};
