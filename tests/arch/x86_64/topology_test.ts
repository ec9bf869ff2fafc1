import { assertEquals } from "@std/assert";
import { apicIds, cpuPlace, flatTopology } from "../../../src/arch/x86_64/topology.ts";

Deno.test("apicIds() of a flat machine are the indices", () => {
  assertEquals(apicIds(flatTopology(5)), [0, 1, 2, 3, 4]);
});

Deno.test("apicIds() leave gaps where cores and threads are no power of two", () => {
  assertEquals(apicIds({ sockets: 2, cores: 3, threads: 1 }), [0, 1, 2, 4, 5, 6]);
  assertEquals(apicIds({ sockets: 1, cores: 2, threads: 3 }), [0, 1, 2, 4, 5, 6]);
});

Deno.test("cpuPlace() counts threads first, then cores, then sockets", () => {
  const topology = { sockets: 2, cores: 2, threads: 2 };
  assertEquals(cpuPlace(topology, 1), { socket: 0, core: 0, thread: 1, apicId: 1 });
  assertEquals(cpuPlace(topology, 2), { socket: 0, core: 1, thread: 0, apicId: 2 });
  assertEquals(cpuPlace(topology, 7), { socket: 1, core: 1, thread: 1, apicId: 7 });
});
