// deno-lint-ignore-file no-explicit-any
// A constructor of any arguments has no other type than `any[]`.

/** What every assertion throws. */
export declare class AssertionError extends Error {
  /** The message is what the failed assertion says. */
  constructor(message: string, options?: ErrorOptions);
}

/** Fails unless the value is truthy. */
export declare function assert(expr: unknown, msg?: string): asserts expr;
/** Fails unless two numbers differ by at most `tolerance` (default 1e-7 of the expected one). */
export declare function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance?: number,
  msg?: string,
): void;
/** Fails unless the array holds an equal of each expected element. */
export declare function assertArrayIncludes<T>(
  actual: ArrayLike<T>,
  expected: ArrayLike<T>,
  msg?: string,
): void;
/** Fails unless the values are equal in depth. */
export declare function assertEquals<T>(actual: T, expected: T, msg?: string): void;
/** Fails if the value is `undefined` or `null`. */
export declare function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T>;
/** Fails unless the value is falsy. */
export declare function assertFalse(expr: unknown, msg?: string): asserts expr is false;
/** Fails unless `actual > expected`. */
export declare function assertGreater<T>(actual: T, expected: T, msg?: string): void;
/** Fails unless `actual >= expected`. */
export declare function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void;
/** Fails unless the value is an instance of the class. */
export declare function assertInstanceOf<T>(
  actual: unknown,
  expectedType: abstract new (...args: any[]) => T,
  msg?: string,
): asserts actual is T;
/** Fails unless the value is an error of that class whose message holds the text. */
export declare function assertIsError<E extends Error = Error>(
  error: unknown,
  ErrorClass?: abstract new (...args: any[]) => E,
  msgMatches?: string | RegExp,
  msg?: string,
): asserts error is E;
/** Fails unless `actual < expected`. */
export declare function assertLess<T>(actual: T, expected: T, msg?: string): void;
/** Fails unless `actual <= expected`. */
export declare function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void;
/** Fails unless the text matches. */
export declare function assertMatch(actual: string, expected: RegExp, msg?: string): void;
/** Fails if the values are equal in depth. */
export declare function assertNotEquals<T>(actual: T, expected: T, msg?: string): void;
/** Fails if the text matches. */
export declare function assertNotMatch(actual: string, expected: RegExp, msg?: string): void;
/** Fails if the values are the same by `Object.is`. */
export declare function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void;
/** Fails unless the object holds the expected properties. */
export declare function assertObjectMatch(
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void;
/** Fails unless the promise rejects with an error of that class whose message holds the text. */
export declare function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: abstract new (...args: any[]) => E,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
/** Fails unless the promise rejects; resolves to the reason. */
export declare function assertRejects(
  fn: () => PromiseLike<unknown>,
  msg?: string,
): Promise<unknown>;
/** Fails unless the values are the same by `Object.is`. */
export declare function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T;
/** Fails unless the text holds the other. */
export declare function assertStringIncludes(actual: string, expected: string, msg?: string): void;
/** Fails unless the function throws an error of that class whose message holds the text. */
export declare function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: abstract new (...args: any[]) => E,
  msgIncludes?: string,
  msg?: string,
): E;
/** Fails unless the function throws; gives what was thrown. */
export declare function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Whether two values are equal in depth. */
export declare function equal(a: unknown, b: unknown): boolean;
/** Fails always. */
export declare function fail(msg?: string): never;
/** Fails always: for a place that must not be reached. */
export declare function unreachable(msg?: string): never;
