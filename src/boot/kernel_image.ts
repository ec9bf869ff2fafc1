/**
 * Kernels of every kind that is booted, told apart by the first bytes of their files.
 *
 * @module
 */

import { type BzImage, BZIMAGE_HEAD_SIZE, isBzImage, parseBzImage } from "./bzimage.ts";
import { type ElfKernel, isElf, parseElfKernel } from "./elf_kernel.ts";
import { refuse } from "./kernel_error.ts";
import { type KernelFile, startsWith } from "./kernel_file.ts";

/** A kernel's file, read. */
export type KernelImage = BzImage | ElfKernel;

/** What other files begin with, and what to do about them. */
const OTHERS: readonly (readonly [magic: readonly number[], what: string])[] = [
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], "it is packed with xz; unpack it first, with `unxz`"],
  [[0x28, 0xb5, 0x2f, 0xfd], "it is packed with zstd; unpack it first, with `unzstd`"],
  [[0x42, 0x5a, 0x68], "it is packed with bzip2; unpack it first, with `bunzip2`"],
  [[0x4d, 0x5a], "it is an EFI program without Linux' boot header, for another processor perhaps"],
  [[0x27, 0x05, 0x19, 0x56], "it is a U-Boot image; pass the kernel it was made from"],
  [[0x30, 0x37, 0x30, 0x37, 0x30], "it is a cpio archive, perhaps the initrd"],
  [[0x21, 0x3c, 0x61, 0x72, 0x63, 0x68, 0x3e], "it is a Debian package; pass the vmlinuz in it"],
  [[0x23, 0x21], "it is a script"],
];

/**
 * Reads what a kernel's file says of itself.
 *
 * @throws KernelError that says what the file is instead, or what is wrong with it
 */
export function parseKernel(file: KernelFile): KernelImage {
  const { name, size } = file;
  const head = file.read(0, BZIMAGE_HEAD_SIZE);
  if (isElf(head)) return parseElfKernel(file);
  if (isBzImage(head)) return parseBzImage(head, size, name);
  if (size === 0) throw refuse(name, "it is empty; copy or download it again");
  const other = OTHERS.find(([magic]) => startsWith(head, magic));
  if (other !== undefined) throw refuse(name, other[1]);
  throw refuse(
    name,
    "it is no kernel: neither a bzImage (it has no Linux boot header, HdrS) nor an ELF file; " +
      "pass the file called vmlinuz or vmlinux",
  );
}
