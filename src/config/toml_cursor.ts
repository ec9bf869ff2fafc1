/**
 * A place in the text of a TOML file: reads its words, and says where it is when something is wrong.
 *
 * @module
 */

import { ConfigError } from "../base/errors.ts";

const BLANKS = /[ \t]*/y;
// deno-lint-ignore no-control-regex -- TOML forbids these characters in comments and strings
const COMMENT = /#[^\x00-\x08\x0a-\x1f\x7f]*/y;
// deno-lint-ignore no-control-regex -- the same
const LITERAL = /'([^\x00-\x08\x0a-\x1f\x7f']*)'/y;
// deno-lint-ignore no-control-regex -- the same
const BASIC_RUN = /[^\x00-\x08\x0a-\x1f\x7f"\\]+/y;
/** What may stand in text of several lines besides quotation marks and backslashes; a carriage return only before a newline. */
// deno-lint-ignore no-control-regex -- the same
const MULTILINE_RUN = /[^\x00-\x08\x0b-\x1f\x7f"'\\]+/y;
const ESCAPES: Readonly<Record<string, string>> = {
  b: "\b",
  t: "\t",
  n: "\n",
  f: "\f",
  r: "\r",
  '"': '"',
  "\\": "\\",
};

/** Reads a text from its start to its end. */
export class TomlCursor {
  /** The whole text. */
  readonly text: string;
  /** Index of the next character. */
  at = 0;
  readonly #name: string;
  /** Where each line starts. */
  readonly #starts: readonly number[];

  /**
   * @param text to be read
   * @param name of its file, for errors
   */
  constructor(text: string, name: string) {
    this.text = text;
    this.#name = name;
    this.#starts = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)];
  }

  /** Text between apostrophes, of one line or, between three of them, of several. */
  literalString(): string {
    if (this.take("'''")) return this.multilineString("'");
    const text = this.match(LITERAL)?.[1];
    if (text !== undefined) return text;
    throw this.mistake("This text does not end on its line, or holds a control character");
  }

  /** Text of one line between quotation marks. */
  basicString(): string {
    const start = this.at++;
    let text = "";
    for (;;) {
      text += this.match(BASIC_RUN)?.[0] ?? "";
      if (this.take('"')) return text;
      if (!this.take("\\")) {
        if (this.at >= this.text.length || /[\r\n]/.test(this.text[this.at] ?? "")) {
          this.at = start;
          throw this.mistake("This text does not end on its line; close it with a quotation mark");
        }
        throw this.mistake(`Text cannot hold ${this.seen()}; write it as an escape`);
      }
      text += this.#escape();
    }
  }

  /** Behind the opening quotation marks; a newline right behind them is not part of the text. */
  multilineString(quote: '"' | "'"): string {
    const start = this.at - 3;
    const parts: string[] = [];
    this.match(/\r?\n/y);
    for (;;) {
      const run = this.match(MULTILINE_RUN)?.[0];
      if (run !== undefined) parts.push(run);
      else if (this.match(/\r\n/y) !== undefined) parts.push("\n");
      else if (this.take(quote)) {
        // Up to two quotation marks may stand before the closing three.
        const marks = this.match(quote === '"' ? /"{0,4}/y : /'{0,4}/y)?.[0].length ?? 0;
        if (marks >= 2) return parts.join("") + quote.repeat(marks - 2);
        parts.push(quote.repeat(marks + 1));
      } else if (this.match(quote === '"' ? /'/y : /["\\]/y) !== undefined) {
        parts.push(this.text[this.at - 1] ?? "");
      } else if (this.take("\\")) {
        const folded = this.match(/[ \t]*\r?\n(?:[ \t\n]|\r\n)*/y) !== undefined;
        if (!folded) parts.push(this.#escape());
      } else throw this.#badText(start);
    }
  }

  /** Text of several lines stops at what it cannot hold, or at the file's end. */
  #badText(start: number): ConfigError {
    if (this.at < this.text.length) {
      return this.mistake(`Text cannot hold ${this.seen()}; write it as an escape`);
    }
    this.at = start;
    return this.mistake("This text has no end; close it with three quotation marks");
  }

  /** What stands behind a backslash. */
  #escape(): string {
    const simple = ESCAPES[this.text[this.at] ?? ""];
    if (simple !== undefined) {
      this.at++;
      return simple;
    }
    const code = this.match(/u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})/y);
    const point = parseInt(code?.[1] ?? code?.[2] ?? "x", 16);
    if (point <= 0x10ffff && (point < 0xd800 || point > 0xdfff)) return String.fromCodePoint(point);
    throw this.mistake('There is no such escape; a backslash itself is written as "\\\\"');
  }

  /** To the next thing that counts: over blanks, ends of lines and comments. */
  skipLines(): void {
    do {
      this.blanks();
      this.match(COMMENT);
    } while (this.match(/\r?\n/y) !== undefined);
  }

  /** Over what may stand behind a statement; throws where more does. */
  endOfLine(): void {
    this.blanks();
    this.match(COMMENT);
    if (this.at >= this.text.length || this.match(/\r?\n/y) !== undefined) return;
    throw this.mistake(`The line should end here, and there is ${this.seen()}`);
  }

  /** Over spaces and tabs. */
  blanks(): void {
    this.match(BLANKS);
  }

  /** Takes what a sticky pattern matches here, if it does. */
  match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (match === null) return undefined;
    this.at = pattern.lastIndex;
    return match;
  }

  /** Takes this very text, if it is next. */
  take(text: string): boolean {
    if (!this.text.startsWith(text, this.at)) return false;
    this.at += text.length;
    return true;
  }

  /** The next character as an error shows it. */
  seen(): string {
    const point = this.text.codePointAt(this.at);
    if (point === undefined) return "the file's end";
    if (point === 10 || point === 13) return "the line's end";
    if (point > 0x20 && point !== 0x7f) return `"${String.fromCodePoint(point)}"`;
    return `the character U+${point.toString(16).toUpperCase().padStart(4, "0")}`;
  }

  /** The line, from 1, of an index. */
  line(at: number): number {
    let low = 0;
    let high = this.#starts.length;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if ((this.#starts[middle] ?? 0) <= at) low = middle;
      else high = middle;
    }
    return low + 1;
  }

  /** An error that names this place. */
  mistake(message: string): ConfigError {
    const line = this.line(Math.min(this.at, this.text.length));
    const column = this.at - (this.#starts[line - 1] ?? 0) + 1;
    return new ConfigError(`${this.#name}:${line}:${column}`, message);
  }
}
