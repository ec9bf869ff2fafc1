/**
 * A bzImage around a payload, as the kernel's build makes one.
 *
 * @module
 */

import { setup_header, SETUP_HEADER_OFFSET } from "../../src/abi/boot.ts";
import { kernelImage } from "./kernel_image.ts";

const PAYLOAD_OFFSET = 0x20;
const SETUP_SIZE = 4 * 512;

/** The file. The payload is followed by its unpacked size, where its format does not end with that. */
export function packedKernel(payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const kernelSize = Math.ceil((PAYLOAD_OFFSET + payload.length) / 16) * 16;
  const image = kernelImage({ kernelSize }).slice();
  const view = new DataView(image.buffer);
  view.setUint32(SETUP_HEADER_OFFSET + setup_header.payload_offset, PAYLOAD_OFFSET, true);
  view.setUint32(SETUP_HEADER_OFFSET + setup_header.payload_length, payload.length, true);
  image.set(payload, SETUP_SIZE + PAYLOAD_OFFSET);
  return image;
}

/** Bytes packed with gzip. */
export async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
