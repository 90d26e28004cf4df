/**
 * Every limit of the server, with the reason for its value.
 *
 * Some limits are tuned: they trade one cost for another, and where the balance
 * lies depends on the machine. Their values come from measurements on one
 * machine, which `docs/performance.md` describes; the comment of each says what
 * it trades. `deno task bench` and `deno task fair` measure again.
 *
 * @module
 */

/** The configurable limits of a server and of its connections. */
export interface NbdLimits {
  /**
   * Clients in the transmission phase at once. The server closes further
   * connections as it accepts them.
   */
  readonly clients: number;
  /**
   * Connections in their handshake at once. One more, and the server closes
   * the one that has negotiated longest. So a flood of idle connections does
   * not shut out a client that completes its handshake.
   */
  readonly handshakes: number;
  /** Milliseconds for a whole handshake; then the server closes it. */
  readonly handshakeMs: number;
  /** Options in one handshake; one more ends the connection. */
  readonly options: number;
  /**
   * Milliseconds after which the server closes an idle connection: one that
   * sends nothing, receives nothing of a reply, and has no request in flight.
   * 0 means never.
   */
  readonly idleMs: number;
}

/**
 * The default limits. A connection holds at most about 4.5 MiB of buffers, and
 * only if its client pipelines long requests; 128 connections hold less than
 * 600 MiB. The device bounds the memory of delayed writes. 10 s are ample for
 * a handshake of a few messages. 1024 options let a client ask about every
 * export of a long list.
 */
export const DEFAULT_LIMITS: NbdLimits = {
  clients: 128,
  handshakes: 128,
  handshakeMs: 10_000,
  options: 1024,
  idleMs: 0,
};

/**
 * The longest option data that the server decodes, bytes. The longest useful
 * data is a name of 4096 bytes and a few information types.
 */
export const OPTION_DATA_MAX = 16 * 1024;

/**
 * Contexts of a family that a list without queries names; of a larger family it
 * names the prefix. A program that lists the contexts of all exports, one for
 * each snapshot, would get as many names as there are pairs of snapshots.
 */
export const FAMILY_LISTED_MAX = 16;

/**
 * Contexts that a connection can select. Each answer asks all of them, and each
 * may take a slice of the event loop.
 */
export const SELECTED_CONTEXTS_MAX = 16;

/**
 * The longest option data that the server reads and drops, bytes, to stay in
 * sync and reply that the data is too long. Longer data ends the connection: a
 * u32 length must not make the server receive 4 GiB.
 */
export const OPTION_DRAIN_MAX = 1024 * 1024;

/**
 * Bytes of a connection's receive buffer. A socket usually holds less (a Unix
 * socket about 208 KiB), so one read receives all pending bytes.
 */
export const RECEIVE_BUFFER_SIZE = 256 * 1024;

/**
 * The largest WRITE payload that the server collects before it writes, bytes.
 * It writes a larger payload in pieces of at least this size as they arrive,
 * so that a header that announces 32 MiB reserves no memory.
 */
export const PAYLOAD_WHOLE_MAX = 64 * 1024;

/**
 * Pieces of such a WRITE end at multiples of this, bytes, a power of two. The
 * page cache keeps a file in folios as large as its writes and their alignment
 * allow, and reading from small folios takes longer. Tuned: a Unix socket holds
 * about 208 KiB of what a client has sent, so with 256 KiB the server waited
 * for the client to be woken at each piece, and sequential writes were 18 %
 * slower; reads afterwards were no faster.
 */
export const WRITE_PIECE_SIZE: number = 64 * 1024;

/**
 * Bytes of a reply buffer: a READ of 2 MiB, the usual request of programs that
 * copy disks, and its header. The server sends a longer READ in parts. The
 * system provides memory when it is first written, so short READs do not use
 * it all.
 */
export const REPLY_BUFFER_SIZE = 2 * 1024 * 1024 + 4096;

/**
 * Bytes of replies after which the server sends a batch and fills the next
 * buffer, even if this one has room. The data is still in the processor's
 * caches when it is sent, and the buffer is reused soon: sequential reads were
 * 10 % faster than with batches of a whole buffer. Tuned: less means more
 * system calls a byte, more means data that has left the caches.
 */
export const REPLY_BATCH_SIZE = 512 * 1024;

/**
 * Reply buffers of one connection: the server fills one while it sends the
 * other. While both are full it executes no requests (backpressure), until the
 * client has received replies.
 */
export const REPLY_BUFFERS_MAX = 2;

/**
 * Send buffer that the server requests for a Unix socket, bytes; the system
 * may grant less. Its default of about 208 KiB makes a long reply wait for the
 * client piece by piece, and for a turn of the event loop each time. The
 * system sizes the buffers of TCP sockets by itself.
 */
export const SEND_BUFFER_SIZE = 512 * 1024;

/**
 * How long the thread of a lane busy-polls before it sleeps, microseconds.
 * Waking an idle core takes about as long. Tuned: with less, a client that
 * needs a little longer pays for the wake-up; more is processor time that is
 * lost whenever no request comes.
 */
export const POLL_US = 50;

/**
 * Times that the event loop may busy-poll for the next request of a client
 * before everything else has its turn. With {@linkcode POLL_US} for each, and as
 * much for the reply of a far disk, that takes 2 ms at most. Tuned: a turn costs
 * about 15 µs.
 */
export const LOOP_POLLS_MAX = 16;

/**
 * Requests in a row that arrived alone (depth 1) before the server busy-polls.
 * Tuned: with fewer, a pipelining client that pauses counts as depth 1 and gets
 * smaller batches; with more, a new depth-1 client is slow for longer.
 */
export const POLL_AFTER = 64;

/**
 * Requests that the server does not busy-poll for after a poll without result
 * (back off). The number doubles with each further one, up to
 * {@linkcode POLL_PAUSE_MAX}, so a slower client costs the server a thousandth
 * of its time. Tuned: shorter pauses cost a slow client's server more,
 * longer ones notice later that a client has become fast.
 */
export const POLL_PAUSE_MIN = 16;
/** The largest back-off; see {@linkcode POLL_PAUSE_MIN}. */
export const POLL_PAUSE_MAX = 1024;

/**
 * Rounds that a connection with pending requests may run in a row without a
 * turn of the event loop. The other connections wait meanwhile. Tuned: a turn
 * costs about 15 µs, and more rounds let others wait longer.
 * {@linkcode STEPS_A_LOOK} bounds that wait in time.
 */
export const ROUNDS_MAX = 32;

/**
 * Steps of a connection between two readings of the clock. A short READ or
 * WRITE is one step. 64 of them take about 0.2 ms; a reading costs a tenth of
 * one step. Tuned: more steps make a slice longer than it should be on a slow
 * device, fewer read the clock more often. It is only the most: where steps
 * take long, `Slice` reads the clock after fewer.
 */
export const STEPS_A_LOOK = 64;

/**
 * Bytes of a READ or WRITE that count as one more step. Tuned: it stands
 * for the time that copying takes. More would let long requests outlast their
 * slice, fewer would read the clock for nothing.
 */
export const STEP_BYTES: number = 16 * 1024;

/**
 * Bytes of one part of a READ that the server sends in parts, as chunks or
 * behind one header. Two parts fit into a reply buffer, so the server reads
 * one while it sends the other.
 */
export const READ_PIECE_SIZE = 1024 * 1024;

/**
 * Interval at which the server looks for a hole in a long READ, bytes: it
 * describes holes instead of sending zeroes. No chunk of a pool is smaller.
 * The look costs little compared with the read.
 */
export const HOLE_STEP = 64 * 1024;

/**
 * Runs in one BLOCK_STATUS reply, over all contexts. A client continues where
 * the reply ends. The protocol considers 2^20 runs too many. These take up to
 * 1 MiB, half a reply buffer.
 */
export const STATUS_RUNS_MAX = 64 * 1024;

/**
 * The longest error text, bytes; the server cuts longer ones. The protocol
 * allows 4096 and recommends 256; thousands of errors may wait for the client.
 */
export const ERROR_TEXT_MAX = 256;

/**
 * Requests of one connection that may be in flight at once; with that many the
 * server executes no more (backpressure). Clients keep far fewer in flight. The limit
 * bounds the memory of delayed requests.
 */
export const REQUESTS_PENDING_MAX = 4096;

/**
 * Bytes that the server takes from an encrypted connection at once. It holds
 * their cleartext until the reader asks, so this bounds that memory.
 */
export const TLS_RECEIVE_SIZE = 64 * 1024;

/**
 * Bytes that the server encrypts at once; it encrypts the next ones when these
 * are sent. More is no faster, and holds memory for a client that reads
 * nothing.
 */
export const TLS_PIECE_SIZE = 256 * 1024;

/**
 * The longest READ that the thread of a lane answers in one piece, bytes: the
 * usual request of programs that copy disks. It answers a longer one in chunks
 * of so many bytes where the replies are structured, else the event loop does.
 * Tuned: the reply buffer costs each thread twice as much memory.
 */
export const LANE_READ_MAX = 256 * 1024;

/**
 * Bytes of requests that the thread of a lane hands over before it waits for
 * the event loop to take some: as many as a connection without a lane holds.
 */
export const LANE_BACKLOG_MAX = 256 * 1024;

/**
 * Bytes that each piece counts in addition to its own when a lane hands it
 * over: about the memory of the message. So the backlog also bounds the number
 * of short requests.
 */
export const LANE_MESSAGE_COST = 1024;

/**
 * The longest wait of the thread of a lane for bytes, milliseconds; then the
 * thread looks whether a stop has begun. Less would wake idle threads more
 * often; more would delay the stop.
 */
export const LANE_WAIT_MS = 200;

/**
 * Chunks that the thread of a lane asks the owner to map at once. It bounds the
 * message; beyond it the thread asks with the next request.
 */
export const LANE_WANTS_MAX = 64;

/**
 * Chunks in a row that a client has written to for the first time before the
 * owner maps further ones ahead of it: as many again, up to
 * {@linkcode LANE_MAPPED_AHEAD_MAX}. With fewer, clients that write here and
 * there have chunks mapped that they do not use.
 */
export const LANE_RUN_MIN = 8;

/**
 * Chunks that the owner maps ahead of a client's first writes in a row. Tuned:
 * fewer cost more questions; more hold up the event loop for longer, and are
 * taken from other clients for a second or two where the run ends.
 */
export const LANE_MAPPED_AHEAD_MAX = 64;

/**
 * The longest time between two questions of a run of first writes, milliseconds.
 * A slower client has no run: it gains little by chunks that are mapped ahead,
 * and each chunk that is given back costs a flush.
 */
export const LANE_RUN_GAP_MS = 500;

/**
 * How long chunks that were mapped ahead are kept for a client that does not ask
 * for more, milliseconds; once to twice as long. The slowest run uses
 * {@linkcode LANE_RUN_MIN} chunks within this time, so that a client that goes
 * on loses none.
 */
export const LANE_MAPPED_AHEAD_MS = 5000;

/**
 * Requests that the thread of a lane may answer while the server has not taken
 * older requests that the thread handed over. Fewer would stop the thread more
 * often; with more, a client sees more requests overtake an older one.
 */
export const LANE_AHEAD_MAX = 256;

/**
 * An `fdatasync` that the thread of a lane waits for is quick up to this,
 * milliseconds. A slower one holds up what the client sends meanwhile, so some
 * of the next flushes are the server's, which waits for none of them. Tuned:
 * less gives up the quicker flush of a lane on disks of medium speed, more lets
 * the requests behind a flush wait longer.
 */
export const LANE_FLUSH_MS = 4;

/**
 * Flushes after a slow one until the thread of a lane tries one again; twice as
 * many each time, up to the second of them.
 */
export const FLUSH_PAUSE_MIN = 16;
/** See {@linkcode FLUSH_PAUSE_MIN}. */
export const FLUSH_PAUSE_MAX = 1024;
