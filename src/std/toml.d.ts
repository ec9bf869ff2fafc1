/**
 * Parses a TOML 1.0 document.
 *
 * Integers that a number holds exactly are numbers, larger ones bigints; dates are `Date`, local
 * dates and times strings.
 *
 * @throws SyntaxError where the text is no TOML; the message names line and column.
 */
export declare function parse(tomlString: string): Record<string, unknown>;
