/**
 * Carries out a call that concerns volumes, through the server of the pool or
 * on the stopped pool.
 *
 * @module
 */

import type { Pool } from "../../pool/mod.ts";
import type { VolumeHandlers } from "../calls/mod.ts";
import { callServer, isChange, type VolumeCalls } from "../control/mod.ts";

/**
 * Carries out a call.
 *
 * @param stateDirectory The state directory.
 * @param name The name of the pool.
 * @param call The call.
 * @param request The request.
 * @param onOpened Called with the stopped pool once it is open.
 * @returns The answer.
 * @throws {VirstorError} The errors of the server, of opening the pool, and of
 *   the call.
 */
export async function callPool<Call extends keyof VolumeCalls>(
  stateDirectory: string,
  name: string,
  call: Call,
  request: VolumeCalls[Call]["request"],
  onOpened: (pool: Pool) => void = () => {},
): Promise<VolumeCalls[Call]["answer"]> {
  const reply = await callServer(stateDirectory, name, call, request);
  if (reply !== undefined) return reply.answer;
  const { volumeHandlers } = await import("../calls/mod.ts");
  const { changeStopped } = await import("../registry/mod.ts");
  return await changeStopped(
    { stateDirectory, name },
    async (pool) => {
      onOpened(pool);
      const handlers: VolumeHandlers = volumeHandlers(pool, true);
      return await handlers[call](request);
    },
    { readOnly: !isChange(call, request) },
  );
}
