import { assertEquals, assertThrows } from "@std/assert";
import { VireoError } from "../../src/base/errors.ts";
import { DeviceModules, failureOf, faultOf } from "../../src/devices/device_modules.ts";
import { descriptorOf } from "../support/descriptor.ts";

const SLOW = "data:text/javascript,await new Promise((done) => setTimeout(done, 200));";
const OWN = descriptorOf({ kind: "module", id: "own0", module: "file:///own.ts" });

Deno.test("DeviceModules.require() tells of a module that takes too long", async () => {
  const modules = await DeviceModules.load([{ url: SLOW, device: "own0" }], 50);
  const error = assertThrows(() => modules.require(), VireoError);
  assertEquals(error.kind, "device");
  assertEquals(
    error.message,
    `Cannot load ${SLOW}, the module of device "own0": more than 50 ms went by; ` +
      `see that \`deno run -A ${SLOW}\` does`,
  );
  await import(SLOW);
});

Deno.test("faultOf() leaves errors of Vireo's own devices alone", () => {
  const error = new Error("ours");
  assertEquals(faultOf(descriptorOf({ kind: "rtc-cmos", id: "rtc0" }), error), error);
});

Deno.test("failureOf() tells a fault of a program's device from one of ours", () => {
  const { cause, text } = failureOf(faultOf(OWN, "a string"));
  assertEquals(cause, "device-error");
  assertEquals(text, 'Device "own0" of file:///own.ts failed: a string; see to its module');
  assertEquals(failureOf(new TypeError("ours")).cause, "vcpu-error");
});
