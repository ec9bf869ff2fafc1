/** A worker that takes its message and then fails as no code of ours catches. */

declare const self: Worker;

self.onmessage = () => {
  setTimeout(() => {
    throw new Error("Thrown on purpose in a worker");
  }, 500);
};
