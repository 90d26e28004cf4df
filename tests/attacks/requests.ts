/**
 * Requests as attackers send them.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  encodeExtendedRequest,
  encodeRequest,
  type NbdClient,
  type RawRequest,
} from "../helpers/nbd_client.ts";

/**
 * Encodes a request in the client's dialect, whatever it is.
 *
 * @param client The client.
 * @param request The request; its flags are sent as they are.
 * @returns Its bytes.
 */
export function encode(client: NbdClient, request: RawRequest): Uint8Array {
  return client.dialect === "extended"
    ? encodeExtendedRequest(request)
    : encodeRequest(request);
}

/**
 * Sends requests that all must be refused.
 *
 * @param client The client that sends them.
 * @param requests The requests.
 * @param errno The error that each should get.
 */
export async function assertRefused(
  client: NbdClient,
  requests: RawRequest[],
  errno: number,
): Promise<void> {
  const cookies = await client.sendAll(requests);
  const replies = await client.receiveAll(requests.length);
  for (const [i, { command, offset, length }] of requests.entries()) {
    const what = `${client.dialect}: ${command}, ${offset}+${length}`;
    assertEquals(replies.get(cookies[i] ?? 0n)?.errno, errno, what);
  }
}
