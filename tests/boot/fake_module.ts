/** Makes an ELF-64 object with nothing but a `.modinfo` section, as `modpost` fills it. */
export function fakeModule(fields: readonly string[]): Uint8Array<ArrayBuffer> {
  const modinfo = new TextEncoder().encode(fields.map((field) => `${field}\0`).join(""));
  const names = new TextEncoder().encode("\0.modinfo\0.shstrtab\0");
  const sections = [
    { name: 0, at: 0, size: 0 },
    { name: 1, at: 64, size: modinfo.length },
    { name: 10, at: 64 + modinfo.length, size: names.length },
  ];
  const table = 64 + modinfo.length + names.length;
  const file = new Uint8Array(table + sections.length * 64);
  const view = new DataView(file.buffer);
  view.setUint32(0, 0x7f454c46);
  view.setBigUint64(40, BigInt(table), true);
  view.setUint16(58, 64, true);
  view.setUint16(60, sections.length, true);
  view.setUint16(62, 2, true);
  file.set(modinfo, 64);
  file.set(names, 64 + modinfo.length);
  for (const [index, { name, at, size }] of sections.entries()) {
    view.setUint32(table + index * 64, name, true);
    view.setBigUint64(table + index * 64 + 24, BigInt(at), true);
    view.setBigUint64(table + index * 64 + 32, BigInt(size), true);
  }
  return file;
}
