/** Builds a machine whose RAM is split around the hole, and ends: what strace looks at. */

import { buildMachine } from "../../src/machine/builder.ts";
import { Assembler, tinyLoader } from "../support/tiny_guest.ts";

const loader = tinyLoader(new Assembler().spin());
await using _machine = await buildMachine({ memory: 5 * 2 ** 30, cpus: 2 }, { loader });
