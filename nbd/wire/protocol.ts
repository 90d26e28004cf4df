/**
 * The constants of the NBD protocol that this server uses.
 *
 * Source: `doc/proto.md` of the NBD project (NetworkBlockDevice/nbd); extended
 * headers are from its branch `extension-ext-header`. Each constant names its
 * section. All fields are big-endian. A 64-bit magic number is two 32-bit
 * constants, so that the server needs no BigInt.
 *
 * @module
 */

/** "Newstyle negotiation": first half of `NBDMAGIC`. */
export const NBD_MAGIC_HIGH = 0x4e42444d;
/** "Newstyle negotiation": second half of `NBDMAGIC`. */
export const NBD_MAGIC_LOW = 0x41474943;
/** "Oldstyle negotiation": first half of the second magic. */
export const OLDSTYLE_MAGIC_HIGH = 0x00004202;
/** "Oldstyle negotiation": second half of the second magic. */
export const OLDSTYLE_MAGIC_LOW = 0x81861253;
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
 * "Size constraints": the longest payload of a READ or WRITE, bytes. Clients
 * may rely on 32 MiB; this server accepts no more.
 */
export const PAYLOAD_SIZE_MAX = 32 * 1024 * 1024;

/** "Handshake flags": the server speaks fixed newstyle. */
export const HANDSHAKE_FIXED_NEWSTYLE = 1 << 0;
/** "Handshake flags": the server can omit the 124 zeroes after EXPORT_NAME. */
export const HANDSHAKE_NO_ZEROES = 1 << 1;
/** "Client flags": the defined flags; any other flag ends the connection. */
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
/**
 * "Transmission flags": a flush on one connection covers the writes of all
 * connections.
 */
export const EXPORT_CAN_MULTI_CONN = 1 << 8;
/** "Transmission flags": CACHE is supported. */
export const EXPORT_SEND_CACHE = 1 << 10;
/** "Transmission flags": FAST_ZERO is supported. */
export const EXPORT_SEND_FAST_ZERO = 1 << 11;
/** "Transmission flags": BLOCK_STATUS may have a payload that names contexts. */
export const EXPORT_BLOCK_STATUS_PAYLOAD = 1 << 12;

/** "Option types": choose an export and start; has no error reply. */
export const OPTION_EXPORT_NAME = 1;
/** "Option types": end the negotiation. */
export const OPTION_ABORT = 2;
/** "Option types": list the exports. */
export const OPTION_LIST = 3;
/** "Option types": encrypt the connection. */
export const OPTION_STARTTLS = 5;
/** "Option types": describe an export. */
export const OPTION_INFO = 6;
/** "Option types": describe an export and start. */
export const OPTION_GO = 7;
/** "Option types": use structured replies. */
export const OPTION_STRUCTURED_REPLY = 8;
/** "Option types": list the metadata contexts of an export. */
export const OPTION_LIST_META_CONTEXT = 9;
/** "Option types": select metadata contexts of an export. */
export const OPTION_SET_META_CONTEXT = 10;
/** "Option types": use 64-bit lengths, and chunks for every reply. */
export const OPTION_EXTENDED_HEADERS = 11;

/** "Option reply types": the option succeeded. */
export const REPLY_ACK = 1;
/** "Option reply types": one export of a list. */
export const REPLY_SERVER = 2;
/** "Option reply types": one piece of information. */
export const REPLY_INFO = 3;
/** "Option reply types": one metadata context. */
export const REPLY_META_CONTEXT = 4;
/** "Option reply types": the server does not support the option. */
export const REPLY_ERROR_UNSUPPORTED = 0x80000001;
/** "Option reply types": the server's configuration forbids the option. */
export const REPLY_ERROR_POLICY = 0x80000002;
/** "Option reply types": the option, or its data, is invalid. */
export const REPLY_ERROR_INVALID = 0x80000003;
/** "Option reply types": the client must send STARTTLS first. */
export const REPLY_ERROR_TLS_REQUIRED = 0x80000005;
/** "Option reply types": there is no such export. */
export const REPLY_ERROR_UNKNOWN = 0x80000006;
/** "Option reply types": the server is stopping. */
export const REPLY_ERROR_SHUTDOWN = 0x80000007;
/** "Option reply types": the option's data is too long. */
export const REPLY_ERROR_TOO_BIG = 0x80000009;
/** "Option reply types": extended headers are negotiated already. */
export const REPLY_ERROR_EXTENDED_HEADERS_REQUIRED = 0x8000000a;

/** "Information types": size and transmission flags. */
export const INFO_EXPORT = 0;
/** "Information types": the canonical name of the export. */
export const INFO_NAME = 1;
/** "Information types": the description of the export. */
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
/** "Request types": make the bytes read as zeroes. */
export const COMMAND_WRITE_ZEROES = 6;
/** "Request types": report the status of the bytes, for each context. */
export const COMMAND_BLOCK_STATUS = 7;

/** "Command flags": force unit access; durable before the reply. */
export const FLAG_FUA = 1 << 0;
/** "Command flags": WRITE_ZEROES must allocate the range, not punch a hole. */
export const FLAG_NO_HOLE = 1 << 1;
/** "Command flags": the reply to READ must be one chunk (don't fragment). */
export const FLAG_DF = 1 << 2;
/** "Command flags": BLOCK_STATUS must report one run for each context. */
export const FLAG_REQ_ONE = 1 << 3;
/** "Command flags": WRITE_ZEROES must fail if it is no faster than WRITE. */
export const FLAG_FAST_ZERO = 1 << 4;
/** "Command flags": an extended request has a payload of its length. */
export const FLAG_PAYLOAD_LEN = 1 << 5;

/** "Structured reply flags": the last chunk of a reply. */
export const CHUNK_DONE = 1 << 0;

/** "Structured reply types": no payload; only completes a reply. */
export const CHUNK_NONE = 0;
/** "Structured reply types": data. */
export const CHUNK_OFFSET_DATA = 1;
/** "Structured reply types": a range of zeroes, without the bytes. */
export const CHUNK_OFFSET_HOLE = 2;
/** "Structured reply types": runs of a metadata context. */
export const CHUNK_BLOCK_STATUS = 5;
/** "Structured reply types": runs of a metadata context, 64-bit numbers. */
export const CHUNK_BLOCK_STATUS_EXT = 6;
/** "Structured reply types": an error. */
export const CHUNK_ERROR = 0x8001;
/** "Structured reply types": an error at an offset. */
export const CHUNK_ERROR_OFFSET = 0x8002;

/** "The `base:` metadata namespace": the range is not allocated. */
export const STATE_HOLE = 1 << 0;
/** "The `base:` metadata namespace": the range reads as zeroes. */
export const STATE_ZERO = 1 << 1;

/** "Error values": the export is read-only. */
export const EPERM = 1;
/** "Error values": the storage failed. */
export const EIO = 5;
/** "Error values": the request is invalid. */
export const EINVAL = 22;
/** "Error values": no space, or a write past the end. */
export const ENOSPC = 28;
/** "Error values": the request is too long. */
export const EOVERFLOW = 75;
/** "Error values": WRITE_ZEROES with FAST_ZERO would be no faster than WRITE. */
export const ENOTSUP = 95;
/** "Error values": the server is stopping. */
export const ESHUTDOWN = 108;
