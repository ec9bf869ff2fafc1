/** A worker that ends at its first message. */

declare const self: Worker & { close(): void };

self.onmessage = () => self.close();
