/**
 * Every limit of the server in one place, with the reason for it.
 *
 * @module
 */

/** What one server, and one connection, may take. */
export interface NbdLimits {
  /** Clients that use an export at once; more are closed as they come. */
  readonly clients: number;
  /**
   * Connections in their handshake at once; with one more the oldest ends.
   * So a flood of them shuts nobody out who gets on with it.
   */
  readonly handshakes: number;
  /** Time for a whole handshake, milliseconds; then the connection ends. */
  readonly handshakeMs: number;
  /** Options in one handshake; one more ends the connection. */
  readonly options: number;
  /**
   * Time in which a client has to send something, or take some of a reply, or
   * have a request under way, milliseconds; then the connection ends. 0 for
   * ever.
   */
  readonly idleMs: number;
}

/**
 * The limits unless others are given. A connection holds at most about
 * 4.5 MiB of buffers, and only if it asks for much at once: with 128 of them
 * not even 600 MiB. What delayed writes hold is up to the device. 10 s is
 * generous for a handshake of a few messages. 1024 options are enough to ask
 * about every export of a long list.
 */
export const DEFAULT_LIMITS: NbdLimits = {
  clients: 128,
  handshakes: 128,
  handshakeMs: 10_000,
  options: 1024,
  idleMs: 0,
};

/**
 * The longest data of an option that is looked at, bytes. The longest that
 * makes sense is a name of 4096 bytes and a few information types.
 */
export const OPTION_DATA_MAX = 16 * 1024;

/**
 * The longest data of an option that is read and dropped, bytes, so that the
 * client learns that it is too long. More than that ends the connection: a
 * length field of four bytes must not cost the server four gigabytes.
 */
export const OPTION_DRAIN_MAX = 1024 * 1024;

/**
 * Bytes of a connection's receive buffer. Larger than what a socket usually
 * delivers at once (about 208 KiB on a Unix socket), so that one read takes
 * all that is there.
 */
export const RECEIVE_BUFFER_SIZE = 256 * 1024;

/**
 * The largest payload of a WRITE that is always collected before it is written,
 * bytes. Larger ones may be written in pieces as they arrive, so that a promise
 * of 32 MiB holds no memory.
 */
export const PAYLOAD_WHOLE_MAX = 64 * 1024;

/**
 * Bytes of a piece of such a WRITE, a power of two: as much as the receive
 * buffer holds. The page cache keeps a file in pieces as it was written, and
 * reads of small ones take longer.
 */
export const WRITE_PIECE_SIZE: number = RECEIVE_BUFFER_SIZE;

/**
 * Bytes of a reply buffer: a READ of 2 MiB, which is what copying programs
 * ask for, and its header. A longer READ is sent in parts. Memory that was
 * never written to costs nothing, so short READs never pay for it.
 */
export const REPLY_BUFFER_SIZE = 2 * 1024 * 1024 + 4096;

/**
 * Bytes of replies after which they are sent, and the next ones go into another
 * buffer, also where there would be room. So what is read is sent while it is
 * in the processor's nearer caches, and the memory is used again soon: copying
 * out is 10 % faster than with batches of a whole buffer.
 */
export const REPLY_BATCH_SIZE = 512 * 1024;

/**
 * Reply buffers of one connection: one is filled while the other is sent. When
 * both are full, no more requests are executed until the client has taken
 * replies.
 */
export const REPLY_BUFFERS_MAX = 2;

/**
 * What the system may hold of what was sent on a Unix socket, bytes, as far as
 * it allows. By default it takes about 208 KiB, so that answers to long READs
 * wait for the client piece by piece, and for a turn of the event loop each
 * time. That of TCP it manages by itself.
 */
export const SEND_BUFFER_SIZE = 512 * 1024;

/**
 * How long a connection is asked again and again before going to sleep,
 * microseconds. To wake an idle core takes about as long.
 */
export const POLL_US = 50;

/** Requests in a row that came alone before that is done. */
export const POLL_AFTER = 64;

/**
 * Requests after one that was waited for so in vain until it is tried again;
 * twice as many each time, up to the second of them. So a client that is slower
 * costs a thousandth of its time.
 */
export const POLL_PAUSE_MIN = 16;
/** See {@linkcode POLL_PAUSE_MIN}. */
export const POLL_PAUSE_MAX = 1024;

/**
 * So often a connection may go on without a turn of the event loop, while
 * there is something to do. Others wait for so long.
 */
export const ROUNDS_MAX = 32;

/**
 * Steps of a connection between two looks at the clock: as many short READs or
 * WRITEs. They take about 0.2 ms, and a look costs a tenth of one of them.
 */
export const STEPS_A_LOOK = 64;

/** Bytes of a READ or a WRITE that count as a step more. */
export const STEP_BYTES: number = 16 * 1024;

/**
 * Bytes of one part of a READ that is sent in several, with headers of their
 * own or without. Two fit into a reply buffer, so one is read while the other
 * is sent.
 */
export const READ_PIECE_SIZE = 1024 * 1024;

/**
 * Every so many bytes of a long READ it is asked whether a hole begins, so
 * that it need not be sent. No chunk of a pool is smaller; asking costs next to
 * nothing beside reading.
 */
export const HOLE_STEP = 64 * 1024;

/**
 * Runs in one answer to BLOCK_STATUS, all contexts together. Clients ask on
 * where an answer ends; the protocol thinks that 2^20 are too many. They take
 * up to 1 MiB, half a reply buffer.
 */
export const STATUS_RUNS_MAX = 64 * 1024;

/**
 * The longest text of an error, bytes; more is cut off. The protocol allows
 * 4096 and recommends 256, and thousands of errors may wait to be sent.
 */
export const ERROR_TEXT_MAX = 256;

/**
 * Requests of one connection that may be under way at once; with more, it
 * waits. Clients keep far fewer; it bounds what a delayed request costs.
 */
export const REQUESTS_PENDING_MAX = 4096;

/**
 * Bytes that are taken from an encrypted connection at once. What they hold in
 * the clear is kept until it is asked for, so this bounds it.
 */
export const TLS_RECEIVE_SIZE = 64 * 1024;

/**
 * Bytes that are encrypted at once; the next ones when those have left. More
 * gains nothing, and costs memory of a client that does not read.
 */
export const TLS_PIECE_SIZE = 256 * 1024;

/**
 * The longest READ that the thread of a lane answers by itself, bytes, which
 * is what copying programs ask for. Two fit into its reply buffer.
 */
export const LANE_READ_MAX = 256 * 1024;

/**
 * Bytes that the thread of a lane hands over before it waits for the server to
 * take some: as much as a connection without a lane would hold.
 */
export const LANE_BACKLOG_MAX = 256 * 1024;

/**
 * What each piece that is handed over counts beside its bytes: about what the
 * message costs. So short requests that are handed over one by one are bounded
 * in their number, too.
 */
export const LANE_MESSAGE_COST = 1024;

/** Chunks that the thread of a lane asks for at once. */
export const LANE_WANTS_MAX = 64;

/**
 * Requests that the thread of a lane may answer while older ones, which it has
 * handed over, are not taken by the server yet. Fewer would stop the thread
 * more often; more would let a request be overtaken by more.
 */
export const LANE_AHEAD_MAX = 256;

/**
 * An `fdatasync` that the thread of a lane waits for is quick up to this,
 * milliseconds. A slower one holds up what the client sends meanwhile, so some
 * of the next flushes are the server's, which waits for none of them.
 */
export const LANE_FLUSH_MS = 4;

/**
 * Flushes after a slow one until the thread of a lane tries one again; twice as
 * many each time, up to the second of them.
 */
export const FLUSH_PAUSE_MIN = 16;
/** See {@linkcode FLUSH_PAUSE_MIN}. */
export const FLUSH_PAUSE_MAX = 1024;

/**
 * How often the thread of a lane whose client is alone looks for an answer of
 * the server before it goes to sleep: for about as long as it takes to wake the
 * server. More would take the processor away from it.
 */
export const LANE_ASK_SPINS = 4096;
