/** The last part of a path, without `suffix` where it ends so. */
export declare function basename(path: string, suffix?: string): string;
/** A path without its last part; `.` where there is no other. */
export declare function dirname(path: string): string;
/** The extension of the last part with its dot, or the empty string. */
export declare function extname(path: string): string;
/** The path of a `file:` URL. */
export declare function fromFileUrl(url: string | URL): string;
/** Whether the path begins at the root. */
export declare function isAbsolute(path: string): boolean;
/** Joins and normalizes parts. */
export declare function join(path: string | URL, ...paths: string[]): string;
/** Resolves `.`, `..` and double slashes. */
export declare function normalize(path: string | URL): string;
/** The way from one path to another. */
export declare function relative(from: string, to: string): string;
/** An absolute path, from right to left, starting at the working directory. */
export declare function resolve(...paths: string[]): string;
/** The `file:` URL of an absolute path. */
export declare function toFileUrl(path: string): URL;
