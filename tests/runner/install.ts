/**
 * Installs what the tests need from Debian's packages.
 *
 * @module
 */
import { type Need, NEEDS } from "../support/require.ts";
import { say } from "../support/progress.ts";
import { linesTo, runCommand } from "./command.ts";

const INSTALL = ["install", "-y", "-q", "--no-install-recommends"];
const BOUND_MS = 15 * 60_000;

/** The packages that would bring what is missing of `needs`. */
export function missingPackages(needs: readonly Need[] = allNeeds()): string[] {
  const missing = needs.filter((need) => NEEDS[need].missing() !== undefined);
  return [...new Set(missing.flatMap((need) => [...NEEDS[need].packages]))];
}

/**
 * Installs the packages where this user may, after saying so; else prints the command to do it.
 * Tests go on either way: those that lack something say so themselves.
 */
export async function installPackages(
  packages: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  if (packages.length === 0) return;
  const command = `apt-get ${INSTALL.slice(0, 2).join(" ")} --no-install-recommends ${
    packages.join(" ")
  }`;
  if (Deno.uid() !== 0) {
    say(
      `Some tests will be skipped. To install what they need: sudo apt-get update && sudo ${command}`,
    );
    return;
  }
  say(`Installs what the tests need: ${command}`);
  if (await aptGet([...INSTALL, ...packages], signal, () => {})) return;
  say("Renews the package lists first: apt-get update");
  await aptGet(["update", "-q"], signal, () => {});
  if (await aptGet([...INSTALL, ...packages], signal, say)) return;
  say("That failed; the tests that can run without go on");
}

async function aptGet(
  args: readonly string[],
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<boolean> {
  try {
    const env = { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" };
    const outputs = linesTo(onLine);
    const apt = { program: "apt-get", args, env, bound: BOUND_MS, signal, outputs };
    return (await runCommand(apt)).code === 0;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    say("apt-get not found: this is no Debian");
    return false;
  }
}

function allNeeds(): Need[] {
  return Object.keys(NEEDS) as Need[];
}
