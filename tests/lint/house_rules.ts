/**
 * The house's lint rules: what Deno's own rules can't know about this project. A rule looks at the
 * path of a file to know its room.
 *
 * @module
 */

/** The rooms that handle guest addresses, where bit operators would cut them to 32 bits. */
const ADDRESS_ROOMS = [
  "kvm",
  "memory",
  "bus",
  "storage",
  "virtio",
  "arch",
  "boot",
  "vcpu",
  "machine",
];
const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const BIT_OPERATORS = ["&", "|", "^", "<<", ">>", ">>>"];
const BIT_ASSIGNMENTS = BIT_OPERATORS.map((operator) => `${operator}=`);
const EXCEPTION = /\bbits: \S/;
const FILE_EXCEPTION = /^\/\/ bits-file: \S/m;
const CONSOLE_METHODS = /^(log|error|warn|info|debug|dir|table|trace|assert|count|group|time)/;
/** How constants of C and of the ABI are spelt: `EFER_LME`, `MSR_MTRRdefType`. */
const CONSTANT = /^[A-Z][A-Z0-9]*(_\w+)?$/;

type Context = Deno.lint.RuleContext;
type Visitor = Deno.lint.LintVisitor;

const plugin: Deno.lint.Plugin = {
  name: "house",
  rules: {
    "ffi-in-host": { create: (context) => room(context) === "host" ? {} : ffiVisitor(context) },
    "no-private-keyword": { create: privateVisitor },
    "no-bits-on-addresses": {
      create: (context) => handlesAddresses(context) ? bitsVisitor(context) : {},
    },
    "console-in-cli": {
      create: (context) =>
        ["", "cli", "main.ts"].includes(room(context)) ? {} : consoleVisitor(context),
    },
    "checked-non-null": { create: nonNullVisitor },
    "literal-worker": { create: workerVisitor },
    "error-message": { create: (context) => room(context) === "" ? {} : messageVisitor(context) },
    "no-default-export": { create: defaultExportVisitor },
  },
};

// deno-lint-ignore house/no-default-export -- Deno takes a lint plugin as a module's default export
export default plugin;

/** The folder (or file) right below the project's `src/`; empty outside of it. */
function room(context: Context): string {
  const path = context.filename.replace(ROOT, "");
  return path.match(/^src\/([^/]+)/)?.[1] ?? "";
}

/** Whether a file lies in a room of guest addresses and doesn't say `// bits-file: why not this one`. */
function handlesAddresses(context: Context): boolean {
  return ADDRESS_ROOMS.includes(room(context)) && !FILE_EXCEPTION.test(context.sourceCode.text);
}

function ffiVisitor(context: Context): Visitor {
  return {
    MemberExpression(node) {
      const name = memberName(node);
      if (!isIdentifier(node.object, "Deno") || !/^(dlopen$|Unsafe)/.test(name)) return;
      context.report({
        node,
        message: `Deno.${name} outside src/host`,
        hint: "Foreign calls and raw pointers live in src/host; add a function there",
      });
    },
  };
}

function privateVisitor(context: Context): Visitor {
  const check = (node: Deno.lint.PropertyDefinition | Deno.lint.MethodDefinition): void => {
    if (node.accessibility !== "private" || isConstructor(node)) return;
    context.report({
      node,
      message: "`private` member",
      hint: "Write #name: it is private at run time too",
    });
  };
  return { PropertyDefinition: check, MethodDefinition: check };
}

/** A constructor has no `#` form: `private` is how a class is made by its own functions alone. */
function isConstructor(node: Deno.lint.Node): boolean {
  return node.type === "MethodDefinition" && node.kind === "constructor";
}

function nonNullVisitor(context: Context): Visitor {
  return {
    TSNonNullExpression(node) {
      if (node.expression.type === "MemberExpression" && node.expression.computed) return;
      context.report({
        node,
        message: "`!` on something else than an element read",
        hint: "It is for `array[index]!` right after the index was checked",
      });
    },
  };
}

function bitsVisitor(context: Context): Visitor {
  const check = (node: Deno.lint.Node, operator: string): void => {
    if (isPartOfBits(node) || isHarmless(node) || isNamedException(context, node)) return;
    context.report({
      node,
      message: `\`${operator}\` in a room that handles guest addresses`,
      hint:
        "It cuts to 32 bits. Use + - * / %, or say `// bits: what it is` on the line, above it, or " +
        "above the function",
    });
  };
  return {
    BinaryExpression(node) {
      if (BIT_OPERATORS.includes(node.operator)) check(node, node.operator);
    },
    AssignmentExpression(node) {
      if (BIT_ASSIGNMENTS.includes(node.operator)) check(node, node.operator);
    },
    UnaryExpression(node) {
      if (node.operator === "~") check(node, "~");
    },
  };
}

/** Whether the operator around this one is a bit operator too, and so the one to report. */
function isPartOfBits(node: Deno.lint.Node): boolean {
  const around = "parent" in node ? node.parent : undefined;
  return around?.type === "BinaryExpression" && BIT_OPERATORS.includes(around.operator);
}

/** Constants alone, or bigints, which nothing cuts. */
function isHarmless(node: Deno.lint.Node): boolean {
  if (node.type !== "BinaryExpression") return false;
  return isConstant(node) || isBigInt(node.left) || isBigInt(node.right);
}

function isBigInt(node: Deno.lint.Node): boolean {
  if (node.type === "Literal") return typeof node.value === "bigint";
  if (node.type === "BinaryExpression") return isBigInt(node.left) || isBigInt(node.right);
  return node.type === "CallExpression" && isIdentifier(node.callee, "BigInt");
}

/** Whether an expression is made of constants alone, as in `CR0_PE | CR0_ET`. */
function isConstant(node: Deno.lint.Node): boolean {
  if (node.type === "BinaryExpression") return isConstant(node.left) && isConstant(node.right);
  if (node.type === "MemberExpression") return !node.computed && CONSTANT.test(memberName(node));
  if (node.type === "Identifier") return CONSTANT.test(node.name);
  return node.type === "Literal" && typeof node.value === "number";
}

/** Whether a `// bits: …` comment stands on the node's line, on the line above, or above its function. */
function isNamedException(context: Context, node: Deno.lint.Node): boolean {
  const lines = new Lines(context.sourceCode.text);
  const at = lines.of(node.range[0]);
  if (lines.isException(at) || lines.isExceptionAbove(at)) return true;
  return context.sourceCode.getAncestors(node).some((ancestor) =>
    isFunctionOrTable(ancestor) && lines.isExceptionAbove(lines.of(ancestor.range[0]))
  );
}

/** A function, method, or a declaration (a table of flags) that one comment may speak for. */
function isFunctionOrTable(node: Deno.lint.Node): boolean {
  return [
    "FunctionDeclaration",
    "MethodDefinition",
    "PropertyDefinition",
    "VariableDeclaration",
    "ExportNamedDeclaration",
  ].includes(node.type);
}

class Lines {
  readonly #text: string;
  readonly #lines: readonly string[];

  constructor(text: string) {
    this.#text = text;
    this.#lines = text.split("\n");
  }

  of(offset: number): number {
    return this.#text.slice(0, offset).split("\n").length - 1;
  }

  isException(line: number): boolean {
    const text = this.#lines[line] ?? "";
    return text.includes("//") && EXCEPTION.test(text);
  }

  /** Looks at the whole comment that ends on the line above. */
  isExceptionAbove(line: number): boolean {
    for (let above = line - 1; above >= 0; above--) {
      const text = (this.#lines[above] ?? "").trim();
      if (!/^(\/\/|\/\*|\*)/.test(text)) return false;
      if (EXCEPTION.test(text)) return true;
    }
    return false;
  }
}

function consoleVisitor(context: Context): Visitor {
  return {
    MemberExpression(node) {
      // The names of its methods tell it from a variable that holds a console device.
      const name = memberName(node);
      if (!isIdentifier(node.object, "console") || !CONSOLE_METHODS.test(name)) return;
      context.report({
        node,
        message: "console in src outside cli",
        hint: "Use the log of src/base",
      });
    },
  };
}

function workerVisitor(context: Context): Visitor {
  return {
    NewExpression(node) {
      if (!isIdentifier(node.callee, "Worker") || room(context) === "") return;
      const text = context.sourceCode.getText(node).replace(/\s+/g, " ");
      const literal =
        /^new Worker\( ?new URL\("\.{1,2}\/[\w./]+\.ts", import\.meta\.url\), \{ type: "module",?(?: name: .+)? \},? ?\)$/;
      if (literal.test(text)) return;
      context.report({
        node,
        message: "A worker started by something else than a literal URL",
        hint:
          'Write new Worker(new URL("./entry.ts", import.meta.url), { type: "module" }), so that ' +
          "bundler, compiler and layering test find it",
      });
    },
  };
}

function messageVisitor(context: Context): Visitor {
  return {
    NewExpression(node) {
      if (node.callee.type !== "Identifier" || !node.callee.name.endsWith("Error")) return;
      const message = messageOf(node);
      if (message === undefined) return;
      if (
        calleeName(node) !== "ConfigError" && /^[a-z]/.test(message.start) &&
        !/^[\w.]+\(|^[a-z]+[A-Z_]/.test(message.start)
      ) {
        context.report({
          node,
          message: "An error's message starts in lower case",
          hint: "Start with a capital",
        });
      }
      if (/(^|[^.])\.$/.test(message.end)) {
        context.report({
          node,
          message: "An error's message ends with a period",
          hint: "Drop the period",
        });
      }
    },
  };
}

/** The literal first and last piece of an error's message, as far as they are written out. */
function messageOf(
  node: Deno.lint.NewExpression,
): { readonly start: string; readonly end: string } | undefined {
  const argument = node.arguments[MESSAGE_POSITION[calleeName(node)] ?? 0];
  if (argument === undefined) return undefined;
  if (argument.type === "Literal" && typeof argument.value === "string") {
    return { start: argument.value, end: argument.value };
  }
  if (argument.type !== "TemplateLiteral") return undefined;
  return { start: argument.quasis[0]?.raw ?? "", end: argument.quasis.at(-1)?.raw ?? "" };
}

/** Which argument the message is, where it isn't the first one. */
const MESSAGE_POSITION: Readonly<Record<string, number>> = {
  VireoError: 1,
  SystemError: 2,
  ConfigError: 1,
  QmpError: 1,
};

function defaultExportVisitor(context: Context): Visitor {
  return {
    ExportDefaultDeclaration(node) {
      context.report({ node, message: "Default export", hint: "Export by name" });
    },
  };
}

function calleeName(node: Deno.lint.NewExpression): string {
  return node.callee.type === "Identifier" ? node.callee.name : "";
}

function isIdentifier(node: Deno.lint.Node, name: string): boolean {
  return node.type === "Identifier" && node.name === name;
}

function memberName(node: Deno.lint.MemberExpression): string {
  if (node.property.type === "Identifier") return node.property.name;
  return node.property.type === "Literal" ? String(node.property.value) : "";
}
