/**
 * C struct layouts as plain offsets: `const Regs = struct({ rax: "u64", … })` gives `Regs.rax`, the byte offset, to be used
 * with a DataView (`view.getUint32(at + Regs.rax, true)`). No codec: reading stays one typed access.
 *
 * @module
 */

/** A C type of fixed size, an array of one (`["u8", 16]`), a nested layout, or an array of layouts. */
export type FieldType =
  | "u8"
  | "i8"
  | "u16"
  | "i16"
  | "u32"
  | "i32"
  | "u64"
  | "i64"
  | Shape
  | readonly [FieldType, number];

const SIZE: unique symbol = Symbol("sizeof");
const ALIGN: unique symbol = Symbol("alignof");

/** What every layout knows of itself. */
export interface Shape {
  readonly [SIZE]: number;
  readonly [ALIGN]: number;
}

/** A layout: each field's byte offset by its C name; size by {@linkcode sizeof}. */
export type Layout<Name extends string = string> = { readonly [name in Name]: number } & Shape;

const SCALARS = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  u64: 8,
  i64: 8,
} as const;

/**
 * Lays fields out as a C compiler for x86-64 does: natural alignment, size rounded up to the widest.
 *
 * @param fields C names and types in declaration order
 * @param options `packed`: no padding at all, as `__attribute__((packed))`; `size`: total size in bytes where the
 *   C struct ends in padding or a union that the fields don't show
 */
export function struct<Name extends string>(
  fields: { readonly [name in Name]: FieldType },
  options?: { readonly packed?: boolean; readonly size?: number },
): Layout<Name> {
  const offsets: Record<string | symbol, number> = { [SIZE]: 0, [ALIGN]: 0 };
  let end = 0;
  let widest = 1;
  for (const name in fields) {
    let type: FieldType = fields[name];
    let count = 1;
    while (isArray(type)) {
      count *= type[1];
      type = type[0];
    }
    const size = typeof type === "string" ? SCALARS[type] : type[SIZE];
    const align = options?.packed ? 1 : typeof type === "string" ? SCALARS[type] : type[ALIGN];
    end = roundUp(end, align);
    offsets[name] = end;
    end += size * count;
    if (align > widest) widest = align;
  }
  const size = options?.size ?? roundUp(end, widest);
  if (size < end) throw new RangeError(`Cannot lay out a struct of ${end} bytes in ${size}`);
  offsets[SIZE] = size;
  offsets[ALIGN] = widest;
  return Object.freeze(offsets) as unknown as Layout<Name>;
}

/** The layout's size in bytes, as C's `sizeof`. */
export function sizeof(layout: Shape): number {
  return layout[SIZE];
}

function roundUp(size: number, multiple: number): number {
  const rest = size % multiple;
  return rest === 0 ? size : size + multiple - rest;
}

function isArray(type: FieldType): type is readonly [FieldType, number] {
  return Array.isArray(type);
}
