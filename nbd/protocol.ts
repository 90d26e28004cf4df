/**
 * The numbers of the NBD protocol that this server speaks, and nothing else.
 *
 * Source: `doc/proto.md` of the NBD project (NetworkBlockDevice/nbd); each
 * group names its section. Everything on the wire is big-endian. 64-bit magic
 * numbers are kept as two 32-bit halves, because the server needs no BigInt.
 *
 * @module
 */

/** "Newstyle negotiation": first half of `NBDMAGIC`. */
export const NBD_MAGIC_HIGH = 0x4e42444d;
/** "Newstyle negotiation": second half of `NBDMAGIC`. */
export const NBD_MAGIC_LOW = 0x41474943;
/** "Newstyle negotiation": first half of `IHAVEOPT`. */
export const OPTION_MAGIC_HIGH = 0x49484156;
/** "Newstyle negotiation": second half of `IHAVEOPT`. */
export const OPTION_MAGIC_LOW = 0x454f5054;
/** "Fixed newstyle negotiation": first half of the option reply magic. */
export const OPTION_REPLY_MAGIC_HIGH = 0x0003e889;
/** "Fixed newstyle negotiation": second half of the option reply magic. */
export const OPTION_REPLY_MAGIC_LOW = 0x045565a9;
/** "Request message": the magic of a request. */
export const REQUEST_MAGIC = 0x25609513;
/** "Simple reply message": the magic of a simple reply. */
export const SIMPLE_REPLY_MAGIC = 0x67446698;

/** "Newstyle negotiation": bytes of the server's greeting. */
export const GREETING_SIZE = 18;
/** "Newstyle negotiation": bytes of an option's header, before its data. */
export const OPTION_HEADER_SIZE = 16;
/** "Fixed newstyle negotiation": bytes of an option reply's header. */
export const OPTION_REPLY_HEADER_SIZE = 20;
/** "Newstyle negotiation": zeroes after the answer to EXPORT_NAME. */
export const EXPORT_NAME_ZEROES = 124;
/** "Request message": bytes of a request, before a payload. */
export const REQUEST_SIZE = 28;
/** "Simple reply message": bytes of a simple reply, before a payload. */
export const SIMPLE_REPLY_SIZE = 16;
/** "Conventions": the longest string that the protocol allows, bytes. */
export const STRING_SIZE_MAX = 4096;
/**
 * "Size constraints": the longest payload of a READ or WRITE, bytes. Every
 * server has to take 32 MiB; this one takes no more.
 */
export const PAYLOAD_SIZE_MAX = 32 * 1024 * 1024;

/** "Handshake flags": the server speaks fixed newstyle. */
export const HANDSHAKE_FIXED_NEWSTYLE = 1 << 0;
/** "Handshake flags": the 124 zeroes can be left out. */
export const HANDSHAKE_NO_ZEROES = 1 << 1;
/** "Client flags": all that are defined; any other ends the connection. */
export const CLIENT_FLAGS_KNOWN = HANDSHAKE_FIXED_NEWSTYLE |
  HANDSHAKE_NO_ZEROES;

/** "Transmission flags": always set. */
export const EXPORT_HAS_FLAGS = 1 << 0;
/** "Transmission flags": writes are refused. */
export const EXPORT_READ_ONLY = 1 << 1;
/** "Transmission flags": FLUSH is supported. */
export const EXPORT_SEND_FLUSH = 1 << 2;
/** "Transmission flags": FUA is supported, on every command. */
export const EXPORT_SEND_FUA = 1 << 3;
/** "Transmission flags": TRIM is supported. */
export const EXPORT_SEND_TRIM = 1 << 5;
/** "Transmission flags": WRITE_ZEROES is supported. */
export const EXPORT_SEND_WRITE_ZEROES = 1 << 6;
/** "Transmission flags": all connections see one cache. */
export const EXPORT_CAN_MULTI_CONN = 1 << 8;
/** "Transmission flags": CACHE is supported. */
export const EXPORT_SEND_CACHE = 1 << 10;
/** "Transmission flags": FAST_ZERO is supported. */
export const EXPORT_SEND_FAST_ZERO = 1 << 11;

/** "Option types": choose an export and start, without an error reply. */
export const OPTION_EXPORT_NAME = 1;
/** "Option types": end the negotiation. */
export const OPTION_ABORT = 2;
/** "Option types": name the exports. */
export const OPTION_LIST = 3;
/** "Option types": tell about an export. */
export const OPTION_INFO = 6;
/** "Option types": tell about an export and start. */
export const OPTION_GO = 7;

/** "Option reply types": done. */
export const REPLY_ACK = 1;
/** "Option reply types": one export of a list. */
export const REPLY_SERVER = 2;
/** "Option reply types": one piece of information. */
export const REPLY_INFO = 3;
/** "Option reply types": the option is not known here. */
export const REPLY_ERROR_UNSUPPORTED = 0x80000001;
/** "Option reply types": the option's data makes no sense. */
export const REPLY_ERROR_INVALID = 0x80000003;
/** "Option reply types": there is no such export. */
export const REPLY_ERROR_UNKNOWN = 0x80000006;
/** "Option reply types": the option's data is too long. */
export const REPLY_ERROR_TOO_BIG = 0x80000009;

/** "Information types": size and transmission flags. */
export const INFO_EXPORT = 0;
/** "Information types": the export's own name. */
export const INFO_NAME = 1;
/** "Information types": the export in words. */
export const INFO_DESCRIPTION = 2;
/** "Information types": minimum, preferred and maximum request sizes. */
export const INFO_BLOCK_SIZE = 3;

/** "Request types": read. */
export const COMMAND_READ = 0;
/** "Request types": write. */
export const COMMAND_WRITE = 1;
/** "Request types": disconnect; has no reply. */
export const COMMAND_DISCONNECT = 2;
/** "Request types": make durable. */
export const COMMAND_FLUSH = 3;
/** "Request types": the bytes are no longer needed. */
export const COMMAND_TRIM = 4;
/** "Request types": the bytes will be needed soon. */
export const COMMAND_CACHE = 5;
/** "Request types": the bytes shall read as zeroes. */
export const COMMAND_WRITE_ZEROES = 6;

/** "Command flags": durable before the reply. */
export const FLAG_FUA = 1 << 0;
/** "Command flags": WRITE_ZEROES is to keep real space. */
export const FLAG_NO_HOLE = 1 << 1;
/** "Command flags": WRITE_ZEROES is to fail unless it is fast. */
export const FLAG_FAST_ZERO = 1 << 4;

/** "Error values": read-only. */
export const EPERM = 1;
/** "Error values": the storage failed. */
export const EIO = 5;
/** "Error values": the request makes no sense. */
export const EINVAL = 22;
/** "Error values": no space, or a write past the end. */
export const ENOSPC = 28;
/** "Error values": the request is too long. */
export const EOVERFLOW = 75;
/** "Error values": FAST_ZERO would not be fast. */
export const ENOTSUP = 95;
/** "Error values": the server is stopping. */
export const ESHUTDOWN = 108;
