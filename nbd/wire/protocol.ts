/**
 * The numbers of the NBD protocol that this server speaks, and nothing else.
 *
 * Source: `doc/proto.md` of the NBD project (NetworkBlockDevice/nbd), extended
 * headers from its branch `extension-ext-header`; each
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
/** "Request message": the magic of a compact request. */
export const REQUEST_MAGIC = 0x25609513;
/** "Request message": the magic of an extended request. */
export const EXTENDED_REQUEST_MAGIC = 0x21e41c71;
/** "Simple reply message": the magic of a simple reply. */
export const SIMPLE_REPLY_MAGIC = 0x67446698;
/** "Structured reply chunk message": the magic of a chunk. */
export const STRUCTURED_REPLY_MAGIC = 0x668e33ef;
/** "Extended reply chunk message": the magic of a chunk. */
export const EXTENDED_REPLY_MAGIC = 0x6e8a278c;

/** "Newstyle negotiation": bytes of the server's greeting. */
export const GREETING_SIZE = 18;
/** "Newstyle negotiation": bytes of an option's header, before its data. */
export const OPTION_HEADER_SIZE = 16;
/** "Fixed newstyle negotiation": bytes of an option reply's header. */
export const OPTION_REPLY_HEADER_SIZE = 20;
/** "Newstyle negotiation": zeroes after the answer to EXPORT_NAME. */
export const EXPORT_NAME_ZEROES = 124;
/** "Request message": bytes of a compact request, before a payload. */
export const REQUEST_SIZE = 28;
/** "Request message": bytes of an extended request, before a payload. */
export const EXTENDED_REQUEST_SIZE = 32;
/** "Simple reply message": bytes of a simple reply, before a payload. */
export const SIMPLE_REPLY_SIZE = 16;
/** "Structured reply chunk message": bytes of a chunk, before a payload. */
export const STRUCTURED_REPLY_SIZE = 20;
/** "Extended reply chunk message": bytes of a chunk, before a payload. */
export const EXTENDED_REPLY_SIZE = 32;
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
/** "Transmission flags": seeks cost time, as on a turning disk. */
export const EXPORT_ROTATIONAL = 1 << 4;
/** "Transmission flags": TRIM is supported. */
export const EXPORT_SEND_TRIM = 1 << 5;
/** "Transmission flags": WRITE_ZEROES is supported. */
export const EXPORT_SEND_WRITE_ZEROES = 1 << 6;
/** "Transmission flags": DF is supported. */
export const EXPORT_SEND_DF = 1 << 7;
/** "Transmission flags": all connections see one cache. */
export const EXPORT_CAN_MULTI_CONN = 1 << 8;
/** "Transmission flags": CACHE is supported. */
export const EXPORT_SEND_CACHE = 1 << 10;
/** "Transmission flags": FAST_ZERO is supported. */
export const EXPORT_SEND_FAST_ZERO = 1 << 11;
/** "Transmission flags": BLOCK_STATUS may say which contexts it is about. */
export const EXPORT_BLOCK_STATUS_PAYLOAD = 1 << 12;

/** "Option types": choose an export and start, without an error reply. */
export const OPTION_EXPORT_NAME = 1;
/** "Option types": end the negotiation. */
export const OPTION_ABORT = 2;
/** "Option types": name the exports. */
export const OPTION_LIST = 3;
/** "Option types": encrypt the connection. */
export const OPTION_STARTTLS = 5;
/** "Option types": tell about an export. */
export const OPTION_INFO = 6;
/** "Option types": tell about an export and start. */
export const OPTION_GO = 7;
/** "Option types": answer READ in chunks. */
export const OPTION_STRUCTURED_REPLY = 8;
/** "Option types": name the metadata contexts of an export. */
export const OPTION_LIST_META_CONTEXT = 9;
/** "Option types": choose the metadata contexts of an export. */
export const OPTION_SET_META_CONTEXT = 10;
/** "Option types": lengths of 64 bits, and every answer in chunks. */
export const OPTION_EXTENDED_HEADERS = 11;

/** "Option reply types": done. */
export const REPLY_ACK = 1;
/** "Option reply types": one export of a list. */
export const REPLY_SERVER = 2;
/** "Option reply types": one piece of information. */
export const REPLY_INFO = 3;
/** "Option reply types": one metadata context. */
export const REPLY_META_CONTEXT = 4;
/** "Option reply types": the option is not known here. */
export const REPLY_ERROR_UNSUPPORTED = 0x80000001;
/** "Option reply types": the server was told not to. */
export const REPLY_ERROR_POLICY = 0x80000002;
/** "Option reply types": the option's data makes no sense. */
export const REPLY_ERROR_INVALID = 0x80000003;
/** "Option reply types": the connection has to be encrypted first. */
export const REPLY_ERROR_TLS_REQUIRED = 0x80000005;
/** "Option reply types": there is no such export. */
export const REPLY_ERROR_UNKNOWN = 0x80000006;
/** "Option reply types": the server is stopping. */
export const REPLY_ERROR_SHUTDOWN = 0x80000007;
/** "Option reply types": the option's data is too long. */
export const REPLY_ERROR_TOO_BIG = 0x80000009;
/** "Option reply types": extended headers are in force already. */
export const REPLY_ERROR_EXTENDED_HEADERS_REQUIRED = 0x8000000a;

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
/** "Request types": what is known of the bytes, context by context. */
export const COMMAND_BLOCK_STATUS = 7;

/** "Command flags": durable before the reply. */
export const FLAG_FUA = 1 << 0;
/** "Command flags": WRITE_ZEROES is to keep real space. */
export const FLAG_NO_HOLE = 1 << 1;
/** "Command flags": READ is to give its data in one chunk. */
export const FLAG_DF = 1 << 2;
/** "Command flags": BLOCK_STATUS is to tell one run only. */
export const FLAG_REQ_ONE = 1 << 3;
/** "Command flags": WRITE_ZEROES is to fail unless it is fast. */
export const FLAG_FAST_ZERO = 1 << 4;
/** "Command flags": an extended request has a payload of its length. */
export const FLAG_PAYLOAD_LEN = 1 << 5;

/** "Structured reply flags": the last chunk of a reply. */
export const CHUNK_DONE = 1 << 0;

/** "Structured reply types": nothing, only the end. */
export const CHUNK_NONE = 0;
/** "Structured reply types": bytes. */
export const CHUNK_OFFSET_DATA = 1;
/** "Structured reply types": bytes that are zero. */
export const CHUNK_OFFSET_HOLE = 2;
/** "Structured reply types": runs of a metadata context. */
export const CHUNK_BLOCK_STATUS = 5;
/** "Structured reply types": the same with numbers of 64 bits. */
export const CHUNK_BLOCK_STATUS_EXT = 6;
/** "Structured reply types": an error. */
export const CHUNK_ERROR = 0x8001;
/** "Structured reply types": an error at an offset. */
export const CHUNK_ERROR_OFFSET = 0x8002;

/** "The `base:` metadata namespace": has no space of its own yet. */
export const STATE_HOLE = 1 << 0;
/** "The `base:` metadata namespace": reads as zeroes. */
export const STATE_ZERO = 1 << 1;

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
