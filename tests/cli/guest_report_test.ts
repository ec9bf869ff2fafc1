import { assertEquals, assertMatch } from "@std/assert";
import { PORT } from "../../src/boot/control_protocol.ts";
import { GuestReport } from "../../src/cli/guest_report.ts";
import type { Stop } from "../../src/cli/stop_request.ts";
import { libcRequirement } from "../support/libc.ts";

/** A guest that is ready makes room for its memory. */
const NEEDS = libcRequirement();

/** A report whose news are kept. */
function heard(tellsReady = true) {
  const said: string[] = [];
  const stops: Stop[] = [];
  const report = new GuestReport(tellsReady, {
    say: (line) => said.push(line),
    stop: (stop) => stops.push(stop),
  });
  const line = (text: string) => report.hear({ port: PORT.control, line: text });
  return { report, said, stops, line };
}

Deno.test(
  "GuestReport hears that init is through, and the first status of its command",
  NEEDS,
  () => {
    const { report, said, line } = heard();
    assertEquals([report.ready, report.status], [false, undefined]);
    line("ready");
    line("exit 7");
    line("exit 0");
    assertEquals([report.ready, report.status, said], [true, 7, []]);
  },
);

Deno.test("GuestReport hears that the command's stdout was lost, and of no other port's", () => {
  const { report } = heard();
  report.hear({ port: PORT.stderr, lost: "EIO" });
  assertEquals(report.lost, undefined);
  report.hear({ port: PORT.stdout, lost: "ENOSPC" });
  assertEquals(report.lost, "ENOSPC");
});

Deno.test("GuestReport takes a guest whose init is not ours for ready", () => {
  assertEquals(heard(false).report.ready, true);
});

Deno.test("GuestReport asks for an end when Ctrl-A x is typed", () => {
  const { report, stops } = heard();
  report.hear({ key: "quit" });
  assertEquals(stops, [{ kind: "quit" }]);
});

Deno.test(
  "GuestReport says little to a guest that floods the control port, and still hears it",
  NEEDS,
  () => {
    const { report, said, line } = heard();
    for (let i = 0; i < 100_000; i++) line(`noise ${i}`);
    assertEquals(said.length, 3);
    assertMatch(said[0] ?? "", /the guest's init sent "noise 0", which means nothing$/);
    line("ready");
    line("exit 3");
    assertEquals([report.ready, report.status], [true, 3]);
  },
);
