import { assertEquals } from "@std/assert";
import { markProgram } from "../../src/boot/mark_program.ts";
import { requirement } from "../support/require.ts";

Deno.test(
  "markProgram() asks for port 0xe9, and ends where it does not get it",
  requirement("strace", "root"),
  async () => {
    const folder = await Deno.makeTempDir();
    try {
      const path = `${folder}/mark`;
      await Deno.writeFile(path, markProgram(), { mode: 0o755 });
      const args = ["-e", "trace=ioperm,exit", "-e", "inject=ioperm:error=EPERM", path, "I"];
      const { stderr } = await new Deno.Command("strace", { args }).output();
      const lines = new TextDecoder().decode(stderr);
      assertEquals(/ioperm\(0xe9, 0x1, 1\).*EPERM/.test(lines), true, lines);
      assertEquals(/exit\(0\)/.test(lines), true, lines);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
