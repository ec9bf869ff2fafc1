import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../src/base/errors.ts";
import { describeOptions, type OptionTable, parseOptions } from "../../src/config/options.ts";

interface Sample {
  readonly name: string;
  readonly list: readonly string[];
  readonly loud: boolean;
}

const TABLE: OptionTable<Sample> = {
  name: { flag: "--name", value: "TEXT", help: "A name.", initial: "none", parse: (text) => text },
  list: {
    flag: "--item",
    value: "ITEM",
    help: `Goes on ${"and on ".repeat(20)}to the end.`,
    initial: [],
    parse: (text, before) => [...before, text],
  },
  loud: { flag: "--loud", help: "A switch.", initial: false, parse: () => true },
};

Deno.test("parseOptions() gives the initial values where nothing is given", () => {
  assertEquals(parseOptions(TABLE, []), { name: "none", list: [], loud: false });
});

Deno.test("parseOptions() reads both forms, keeps equal signs and dashes in values, adds up", () => {
  const args = ["--name", "--loud", "--item=a=b", "--loud", "--item", "", "--name=x"];
  assertEquals(parseOptions(TABLE, args), { name: "x", list: ["a=b", ""], loud: true });
});

Deno.test("parseOptions() names the option that is wrong", () => {
  const refuse = (args: string[], message: string) =>
    assertThrows(() => parseOptions(TABLE, args), ConfigError, message);
  refuse(["--name"], "--name: TEXT is missing behind it");
  refuse(["--loud=1"], '--loud: It takes no value; leave "=1" out');
  refuse(["--nam", "x"], "--nam: There is no such option; did you mean --name?");
  refuse(["file"], "file: There is no such option; --help lists them");
  refuse(["-x"], "-x: There is no such option");
});

Deno.test("describeOptions() shows each row in two columns of at most 100 characters", () => {
  const lines = describeOptions(TABLE).split("\n");
  assertEquals(lines[0], "  --name TEXT  A name.");
  assertEquals(lines[1]?.startsWith("  --item ITEM  Goes on and on"), true);
  assertEquals(lines[2]?.startsWith(`${" ".repeat(15)}`), true);
  assertEquals(lines.every((line) => line.length <= 100), true);
  assertEquals(lines.at(-2), "  --loud       A switch.");
});
