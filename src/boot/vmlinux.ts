/**
 * The uncompressed kernel (an ELF file) that a bzImage carries, Documentation/arch/x86/boot.rst: payload_offset and
 * payload_length. A kernel started from it saves the time its own decompressor takes, seconds under emulation.
 *
 * @module
 */

import {
  SECTOR_SIZE,
  setup_header,
  SETUP_HEADER_OFFSET,
  SETUP_SECTS_DEFAULT,
} from "../abi/boot.ts";
import { ELF_MAGIC } from "../abi/elf.ts";
import { VireoError } from "../base/errors.ts";
import { isBzImage } from "./bzimage.ts";
import { isGzip, unzipKernel } from "./gzip_kernel.ts";
import { refuse } from "./kernel_error.ts";
import { type KernelFile, startsWith } from "./kernel_file.ts";
import { parseKernel } from "./kernel_image.ts";
import { OpenKernel } from "./open_kernel.ts";
import { type RunCommand, runCommand } from "./run_command.ts";

/**
 * Takes the vmlinux out of a bzImage, with the host's own decompressors.
 *
 * @param image the whole bzImage
 * @param path its name, for errors
 * @param run runs the decompressors; tests put their own here
 * @throws VireoError `load_memory` where the image is damaged or packed in a way that we don't know, `environment` where the
 *   decompressor is not installed
 */
export async function extractVmlinux(
  image: Uint8Array<ArrayBuffer>,
  path: string,
  run: RunCommand = runCommand,
): Promise<Uint8Array<ArrayBuffer>> {
  const payload = bzImagePayload(image, path);
  const format = FORMATS.find(({ magic }) => startsWith(payload, magic));
  if (!format) throw damaged(path, "its kernel is packed in an unknown way");
  const vmlinux = format.command
    ? await decompress(payload, format.command, { path, run })
    : payload;
  if (!startsWith(vmlinux, ELF_MAGIC)) throw damaged(path, "what it unpacks to is no ELF file");
  return vmlinux;
}

/**
 * The kernel in a file, unpacked: what {@linkcode extractVmlinux} takes out, or what gzip has packed.
 *
 * @param path a bzImage, or either kind of kernel packed with gzip
 * @throws VireoError as {@linkcode extractVmlinux}, and `load_memory` for a kernel that is not packed
 */
export async function unpackKernel(
  path: string,
  run: RunCommand = runCommand,
): Promise<Uint8Array<ArrayBuffer>> {
  using opened = new OpenKernel(path);
  const isZipped = isGzip(opened);
  const file = isZipped ? await unzipKernel(opened) : opened;
  const image = parseKernel(file);
  if (image.kind === "bzimage") return await extractVmlinux(wholeFile(file), path, run);
  if (isZipped) return wholeFile(file);
  throw refuse(path, "it is an ELF file, which is not packed; boot it as it is");
}

function wholeFile(file: KernelFile): Uint8Array<ArrayBuffer> {
  return file.read(0, file.size);
}

/** The compressed kernel inside a bzImage, without the four bytes of its unpacked size that stand behind it. */
export function bzImagePayload(
  image: Uint8Array<ArrayBuffer>,
  path: string,
): Uint8Array<ArrayBuffer> {
  if (image.length < SETUP_HEADER_OFFSET + setup_header.payload_length + 4) {
    throw damaged(path, "it is shorter than a boot sector and header");
  }
  const header = new DataView(image.buffer, image.byteOffset + SETUP_HEADER_OFFSET);
  if (!isBzImage(image)) throw damaged(path, "it is no bzImage");
  if (header.getUint16(setup_header.version, true) < PROTOCOL_WITH_PAYLOAD) {
    throw damaged(path, "its boot protocol is older than 2.08 (Linux 2.6.26)");
  }
  const sectors = header.getUint8(setup_header.setup_sects) || SETUP_SECTS_DEFAULT;
  const start = (sectors + 1) * SECTOR_SIZE + header.getUint32(setup_header.payload_offset, true);
  const length = header.getUint32(setup_header.payload_length, true);
  if (length < 8 || start + length > image.length) {
    throw damaged(path, `its payload (${length} bytes at ${start}) reaches past its end`);
  }
  return image.subarray(start, start + length);
}

/** No kernel is larger. */
const MAX_SIZE = 2 ** 30;

const PROTOCOL_WITH_PAYLOAD = 0x208;

/** Ways to pack a kernel, by their first bytes. The tools read standard input and write standard output. */
const FORMATS: readonly {
  readonly magic: readonly number[];
  readonly command?: readonly [string, ...string[]];
}[] = [
  { magic: ELF_MAGIC },
  { magic: [0x1f, 0x8b], command: ["gzip", "-dc"] },
  { magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], command: ["xz", "-dc"] },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], command: ["zstd", "-dcq"] },
  // The legacy frame, the only one that the kernel's build makes.
  { magic: [0x02, 0x21, 0x4c, 0x18], command: ["lz4", "-dcq"] },
  { magic: [0x42, 0x5a, 0x68], command: ["bzip2", "-dc"] },
  { magic: [0x89, 0x4c, 0x5a, 0x4f], command: ["lzop", "-dc"] },
  { magic: [0x5d, 0x00, 0x00], command: ["xz", "-dc", "--format=lzma"] },
];

/** Decompressors complain about the kernel's own size field behind the data, so what they wrote counts, not their status. */
async function decompress(
  payload: Uint8Array,
  [command, ...args]: readonly [string, ...string[]],
  { path, run }: { readonly path: string; readonly run: RunCommand },
): Promise<Uint8Array<ArrayBuffer>> {
  const size = new DataView(payload.buffer, payload.byteOffset + payload.length - 4, 4)
    .getUint32(0, true);
  if (size > MAX_SIZE) throw damaged(path, `it would unpack to ${size} bytes, as no kernel does`);
  const { stdout, stderr } = await run(command, args, { input: payload, most: size });
  if (stdout.length === size) return stdout;
  throw damaged(
    path,
    `${command} gave ${stdout.length} of ${size} bytes${stderr ? ` and said: ${stderr}` : ""}`,
  );
}

function damaged(path: string, why: string): VireoError {
  return new VireoError("load_memory", `Cannot take vmlinux out of "${path}": ${why}`);
}
