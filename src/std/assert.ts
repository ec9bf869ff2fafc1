/**
 * `@std/assert`: assertions for tests.
 *
 * JSR's packages come from npm's copy, which has no types; the declarations beside this file are of
 * just what is used. The specifier is inline because a project that imports the library doesn't see
 * our import map.
 *
 * @module
 */
// @ts-types="./assert.d.ts"
export * from "npm:deno-std@1.4.0/assert/mod.js";
