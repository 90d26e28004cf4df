/**
 * A remote disk on another machine, over a network that is pulled and loses
 * packets: needs root, for network namespaces.
 *
 * @module
 */

import { assert } from "@std/assert";
import { NETWORK_FAULTS, underFault } from "./network_faults.ts";
import { twoMachinesTest } from "./two_machines.ts";

const QUICK = { silenceMs: 200, backOff: { firstMs: 5, mostMs: 50 } };

for (const name of Object.keys(NETWORK_FAULTS)) {
  twoMachinesTest(`a remote disk loses nothing when ${name}`, async () => {
    const { reconnects = 0 } = await underFault(name, {
      ms: 500,
      rounds: 1,
      disk: QUICK,
    });
    assert(reconnects > 0 || name === "packets are lost", name);
  });
}
