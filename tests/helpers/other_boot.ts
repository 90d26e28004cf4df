/**
 * A power cut, as a journal sees it: the machine has started anew since.
 *
 * @module
 */

import {
  JOURNAL_HEADER_OFFSET,
  JOURNAL_HEADER_SIZE,
  JOURNAL_SLOT_SIZE,
  JOURNAL_SLOTS,
} from "../../metadata/journal/mod.ts";
import { checksumOf, encodeUuid } from "../../metadata/common/mod.ts";

/**
 * Makes a journal one of an earlier boot.
 *
 * @param bytes The journal; it is changed.
 * @returns The same bytes.
 */
export function ofEarlierBoot<T extends Uint8Array>(bytes: T): T {
  const { bootId, checksum } = JOURNAL_HEADER_OFFSET;
  for (let slot = 0; slot < JOURNAL_SLOTS; slot++) {
    const start = slot * JOURNAL_SLOT_SIZE;
    const header = bytes.subarray(start, start + JOURNAL_HEADER_SIZE);
    // A slot that was never written stays so.
    if (header.every((byte) => byte === 0)) continue;
    encodeUuid(crypto.randomUUID(), header, bootId);
    new DataView(header.buffer, header.byteOffset).setUint32(
      checksum,
      checksumOf(header, checksum),
      true,
    );
  }
  return bytes;
}
