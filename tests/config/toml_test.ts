import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../src/base/errors.ts";
import { parseToml } from "../../src/config/toml.ts";
import { TomlDate } from "../../src/config/toml_scalar.ts";

/** The document as plain objects. */
function read(text: string): unknown {
  return JSON.parse(JSON.stringify(parseToml(text, "vm.toml").root));
}

Deno.test("parseToml() reads every kind of key", () => {
  assertEquals(read('a = 1\n"b c" = 2\n\'d.e\' = 3\nf.g . h = 4\n1234 = 5\n"" = 6\n'), {
    1234: 5,
    a: 1,
    "b c": 2,
    "d.e": 3,
    f: { g: { h: 4 } },
    "": 6,
  });
});

Deno.test("parseToml() reads numbers", () => {
  const numbers = "[1, -2, +3, 1_000, 0xdead_BEEF, 0o17, 0b101, 1.5, -2e3, 6.02_2E+2, inf, -inf]";
  const { root } = parseToml(`n = ${numbers}`, "vm.toml");
  const expected = [1, -2, 3, 1000, 0xdeadbeef, 15, 5, 1.5, -2000, 602.2, Infinity, -Infinity];
  assertEquals(root["n"], expected);
  assertEquals(parseToml("a = 9223372036854775807", "f").root["a"], 2n ** 63n - 1n);
});

Deno.test("parseToml() keeps dates as they are written", () => {
  const dates = ["1979-05-27", "1979-05-27T07:32:00Z", "1979-05-27 07:32:00.5+01:00", "07:32:00"];
  const { root } = parseToml(`d = [${dates.join(", ")}]`, "vm.toml");
  assertEquals(root["d"], dates.map((text) => new TomlDate(text)));
});

Deno.test("parseToml() reads texts of one line and of several", () => {
  assertEquals(read(`a = "q\\"\\\\\\t\\u00e9\\U0001F600"`), { a: 'q"\\\té😀' });
  assertEquals(read("a = 'C:\\x\"'"), { a: 'C:\\x"' });
  assertEquals(read('a = """\nx\ny ""z"""""'), { a: 'x\ny ""z""' });
  assertEquals(read('a = """x \\\n\n   y"""'), { a: "x y" });
  assertEquals(read("a = '''\r\nx\\\r\n''y'''"), { a: "x\\\n''y" });
  assertEquals(read(`a = ''''''\nb = """"""`), { a: "", b: "" });
});

Deno.test("parseToml() reads lists over lines, with comments and a last comma", () => {
  assertEquals(read('a = [ # one\n 1,\n\n ["x", {b = 2}], # two\n]\n'), {
    a: [1, ["x", { b: 2 }]],
  });
});

Deno.test("parseToml() reads tables, arrays of tables and tables in them", () => {
  assertEquals(read("[a.b]\nx=1\n[a]\ny=2\n[[d]]\np=1\n[[d]]\np=2\n[d.e]\nz=3\n"), {
    a: { b: { x: 1 }, y: 2 },
    d: [{ p: 1 }, { p: 2, e: { z: 3 } }],
  });
});

Deno.test("parseToml() knows the line of each key", () => {
  const { lines } = parseToml("a = 1\r\n[b]\r\n# c\r\nc = '''\r\n\r\n'''\r\n[[d]]\r\ne=1", "f");
  assertEquals([...lines], [["a", 1], ["b", 2], ["b.c", 4], ["d", 7], ["d[0]", 7], ["d[0].e", 8]]);
});

Deno.test("parseToml() gives no key a meaning of JavaScript's", () => {
  const { root } = parseToml("__proto__ = 1\nconstructor = 2\n[a.__proto__]\nx = 3\n", "f");
  assertEquals(Object.keys(root), ["__proto__", "constructor", "a"]);
  assertEquals(Object.hasOwn({}, "x") || "x" in {}, false);
});

const MISTAKES: readonly (readonly [text: string, at: string, message: string])[] = [
  ["a", "1:2", '"=" is missing behind the key "a"'],
  ["= 1", "1:1", "A key is expected here"],
  ["a = ", "1:5", "A value is expected here, not the file's end"],
  ["a = \nb = 1", "1:5", "A value is expected here, not the line's end"],
  ["a = 512M", "1:5", '"512M" is no value; put text in quotation marks'],
  ["a = True", "1:5", '"True" is no value'],
  ["a = 01", "1:5", '"01" is no value'],
  ["a = 1__0", "1:5", '"1__0" is no value'],
  ["a = 1.", "1:5", '"1." is no value'],
  ["a = 1 b = 2", "1:7", 'The line should end here, and there is "b"'],
  ["\n\na = 1\na = 2", "4:1", '"a" is given on line 3 already; give it once'],
  ["[a]\n[a]", "2:1", '"a" is given on line 1 already'],
  ["a.b = 1\n[a]", "2:1", '"a" is given on line 1 already'],
  ["[a]\nb.c = 1\n[a.b]", "3:1", '"a.b" is given on line 2 already'],
  ["[a]\n[b]\n[[a]]", "3:1", '"a" is given on line 1 already'],
  ["[[a]]\n[a]", "2:1", '"a" is given on line 1 already'],
  ["a = []\n[[a]]", "2:1", '"a" is given on line 1 already'],
  ["a = {b = 1}\na.c = 2", "2:1", '"a" is given on line 1 already'],
  ["a = {b = 1, b = 2}", "1:13", '"a.b" is given on line 1 already'],
  ["a = {b = 1,\n}", "1:12", "A key is expected here, not the line's end"],
  ["a = {b = 1 c = 2}", "1:12", '"," or "}" is expected here'],
  ["a = [1 2]", "1:8", '"," or "]" is expected here'],
  ["a = [1,", "1:8", "A value is expected here, not the file's end"],
  ["[a", "1:3", '"]" is missing'],
  ["[[a]", "1:4", '"]]" is missing'],
  ["[]", "1:2", 'A key is expected here, not "]"'],
  ["a..b = 1", "1:3", 'A key is expected here, not "."'],
  ['a = "x', "1:5", "This text does not end on its line"],
  ['a = "x\ny"', "1:5", "This text does not end on its line"],
  ["a = 'x", "1:5", "This text does not end on its line"],
  ['a = """x', "1:5", "This text has no end"],
  ["a = '''x", "1:5", "This text has no end"],
  ['a = "\\q"', "1:7", "There is no such escape"],
  ['a = "\\ud800"', "1:12", "There is no such escape"],
  ['a = "\u0001"', "1:6", "Text cannot hold the character U+0001"],
  ["a = 1 # \u0000", "1:9", "The line should end here, and there is the character U+0000"],
  ["a = 1\rb = 2", "1:6", "The line should end here"],
  ["'''a''' = 1", "1:1", "A key is one line"],
  [`a = ${"[".repeat(100_000)}`, "1:37", "This is nested deeper than 32 levels"],
  [`a = ${"{a=".repeat(100_000)}`, "1:101", "This is nested deeper than 32 levels"],
  [`${"a.".repeat(100_000)}a = 1`, "1:66", "This is nested deeper than 32 levels"],
];

Deno.test("parseToml() names line and column of a mistake", () => {
  for (const [text, at, message] of MISTAKES) {
    assertThrows(() => parseToml(text, "vm.toml"), ConfigError, `vm.toml:${at}: ${message}`);
  }
});

Deno.test("parseToml() takes a time that grows with the text only", () => {
  const keys = Array.from({ length: 50_000 }, (_, index) => `key${index} = "v"\n`).join("");
  assertEquals(parseToml(keys, "f").lines.size, 50_000);
  assertEquals(parseToml(`a = """${"x\n".repeat(400_000)}"""`, "f").lines.size, 1);
});
