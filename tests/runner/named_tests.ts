/**
 * Finds the tests that name rows of the checklist, by reading their source.
 *
 * @module
 */

/** A test whose name ends in the rows it decides. */
export interface NamedTest {
  readonly file: string;
  readonly line: number;
  /** The name as written, `${…}` and all. */
  readonly template: string;
  readonly rows: readonly string[];
  /** Whether it runs on an injected ioctl table instead of a kernel. */
  readonly fake: boolean;
  /** Whether a test of that name came of this one. */
  matches(name: string): boolean;
}

const LITERAL = /(["'`])((?:\\.|(?!\1)[^\\\n])*?\(rows? [^()]+\)(?:\\.|(?!\1)[^\\\n])*)\1/g;
const ROWS = /\(rows? ([^()]+)\)/g;

/** The tests in a file's text that name rows. */
export function namedTests(file: string, text: string): NamedTest[] {
  return [...text.matchAll(LITERAL)].map((match) => {
    const template = match[2] ?? "";
    const pattern = patternOf(template);
    return {
      file,
      line: text.slice(0, match.index).split("\n").length,
      template,
      rows: rowsOf(template),
      fake: /fake KVM/i.test(template) || isFakeOnly(text),
      matches: (name) => pattern.test(name),
    };
  });
}

/** The rows that a name ends in: `1.6` and `4.7` of `… (rows 1.6, 4.7)`; `1.21-1.23` is three. */
export function rowsOf(name: string): string[] {
  return [...name.matchAll(ROWS)].flatMap(([, list = ""]) =>
    [...list.matchAll(/(\d+)\.(\d+)(?:\s*-\s*\1\.(\d+))?/g)].flatMap(([, chapter, from, to]) => {
      const first = Number(from);
      const count = Number(to ?? from) - first + 1;
      return Array.from({ length: count }, (_, i) => `${chapter}.${first + i}`);
    })
  );
}

/** A file that uses the fake and never asks for a real KVM. */
function isFakeOnly(text: string): boolean {
  return /from "[^"]*\/fake_kvm\.ts"/.test(text) && !/requirement\([^)]*kvm/.test(text);
}

function patternOf(template: string): RegExp {
  const parts = template.split(/\$\{[^}]*\}/).map((part) =>
    part.replace(/\\(.)/g, "$1").replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
  );
  return new RegExp(`^${parts.join("[\\s\\S]*")}$`);
}
