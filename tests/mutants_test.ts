import { assert, assertEquals } from "@std/assert";
import { MUTANTS } from "./mutants_table.ts";

const ROOT = new URL("../", import.meta.url);

function text(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

for (const mutant of MUTANTS) {
  Deno.test(`the mutant "${mutant.name}" breaks one line that is there, and its test is there`, () => {
    assertEquals(text(mutant.file).split(mutant.line).length, 2, mutant.file);
    assert(mutant.broken !== mutant.line);
    const { file, name } = mutant.test;
    assert(text(file).includes(name), `${file} has no test called "${name}"`);
  });
}
