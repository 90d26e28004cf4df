/**
 * What both formats share: numbers and texts in bytes, UUIDs, and the
 * signatures of foreign data.
 *
 * @module
 */

export { areZeroes, checksumOf, getUint64, setUint64 } from "./bytes.ts";
export {
  findSignatures,
  SIGNATURE_HEAD_SIZE,
  SIGNATURE_TAIL_SIZE,
} from "./signatures.ts";
export type { FileEnds, Signature } from "./signatures.ts";
export { getUtf8, putUtf8, utf8Size } from "./text.ts";
export { decodeUuid, encodeUuid, isUuid, NIL_UUID, UUID_SIZE } from "./uuid.ts";
