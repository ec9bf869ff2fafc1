/**
 * Which Vireo this is.
 *
 * @module
 */

/** The version, by semver.org's rules. */
export const VERSION = "0.1.0";

/** What `vireo --version` prints. */
export function versionText(): string {
  return `vireo ${VERSION} (Deno ${Deno.version.deno}, ${Deno.build.target})\n`;
}
