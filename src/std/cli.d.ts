/** What {@linkcode parseArgs} is told about the options of a command. */
export interface ParseOptions<
  BooleanName extends string = never,
  StringName extends string = never,
  CollectName extends string = never,
> {
  /** Options without a value. */
  readonly boolean?: readonly BooleanName[];
  /** Options whose value stays a string; `"_"` keeps positional arguments strings. */
  readonly string?: readonly StringName[];
  /** Options that may be given several times; must be among `string` too. */
  readonly collect?: readonly CollectName[];
  /** Boolean options that also exist as `--no-NAME`. */
  readonly negatable?: readonly BooleanName[];
  /** Values of options that are not given. */
  readonly default?: Readonly<Record<string, unknown>>;
  /** Other names of options. */
  readonly alias?: Readonly<Record<string, string | readonly string[]>>;
  /** Put everything after `--` into the result's `"--"` instead of `_`. */
  readonly "--"?: boolean;
  /** Put everything after the first positional argument into `_`. */
  readonly stopEarly?: boolean;
  /** Called for each argument that no name covers; `false` keeps it out of the result. */
  readonly unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** The result of {@linkcode parseArgs}: options that weren't given are absent or `undefined`. */
export type Args<
  BooleanName extends string = never,
  StringName extends string = never,
  CollectName extends string = never,
> =
  & { [name in BooleanName]: boolean }
  & { [name in Exclude<StringName, CollectName | "_">]?: string }
  & { [name in CollectName]: string[] }
  & { _: ("_" extends StringName ? string : string | number)[]; "--"?: string[] };

/** Splits command-line arguments into options and positional arguments. */
export declare function parseArgs<
  const BooleanName extends string = never,
  const StringName extends string = never,
  const CollectName extends string = never,
>(
  args: readonly string[],
  options?: ParseOptions<BooleanName, StringName, CollectName>,
): Args<BooleanName, StringName, CollectName>;
