/**
 * Switches a plain NBD connection to TLS.
 *
 * Source: NBD `doc/proto.md`, section "TLS support" and option STARTTLS.
 *
 * The runtime's TLS server gets a stream of this project instead of a socket.
 * So TLS works over every kind of listener, and with backpressure: the stream
 * receives only while the server waits for data, and encrypts the next bytes
 * only when the last ones are sent. A client that does not read, or sends data
 * that the server does not wait for, costs a few buffers.
 *
 * The server accepts TLS 1.2 and later.
 *
 * @module
 */

import { createServer, type Server } from "node:tls";
import { messageOf, VirstorError } from "../../../errors.ts";
import type { ByteStream } from "../stream/mod.ts";
import { TlsStream } from "./tls_stream.ts";
import { TlsWire } from "./tls_wire.ts";

/** Certificates and keys of a server, in PEM. */
export interface NbdTlsIdentity {
  /** The server's certificate, then its intermediate certificates. */
  readonly certificate: string;
  /** The private key of the server's certificate. */
  readonly key: string;
  /**
   * Certificates of authorities. If given, a client must present a certificate
   * that one of them has signed.
   */
  readonly clientAuthority?: string;
}

/** Configuration of TLS. */
export interface NbdTls {
  /**
   * Whether clients must use TLS. If so, the server tells a plain client
   * nothing about exports.
   */
  readonly required: boolean;
  /**
   * Called for each connection that sends STARTTLS.
   *
   * @returns The certificates and keys that are valid now.
   */
  identity(): NbdTlsIdentity;
}

/**
 * Performs the TLS handshake as the server.
 *
 * *Requires:* the next byte to receive is the first byte of the client's
 * ClientHello.
 *
 * @param stream The plain connection.
 * @param identity The certificates and keys of the server.
 * @returns The cleartext side. Closing it closes `stream`.
 * @throws {VirstorError} `invalid` if the TLS handshake fails, the client's
 *   certificate is refused, or the client disconnects.
 */
export async function startTls(
  stream: ByteStream,
  identity: NbdTlsIdentity,
): Promise<ByteStream> {
  const server = createEncryption(identity);
  const wire = new TlsWire(stream);
  let inside: TlsStream | undefined;
  let refusal: unknown;
  server.on("secureConnection", (socket) => {
    inside = new TlsStream(socket, wire);
    // The runtime has verified this already; access depends on it, so verify
    // twice.
    if (identity.clientAuthority !== undefined && !socket.authorized) {
      wire.fail(
        new VirstorError("invalid", "The client's certificate is refused"),
      );
    }
    wire.notify();
  });
  server.on("tlsClientError", (error, { authorizationError }) => {
    refusal = authorizationError ?? error;
    wire.fail(error);
  });
  server.emit("connection", wire);
  while (inside === undefined && wire.failure === undefined) {
    if (!wire.ended) await wire.next();
    else {
      const text = "The client closed the connection";
      wire.fail(new VirstorError("cancelled", text));
    }
  }
  if (inside !== undefined && wire.failure === undefined) return inside;
  wire.destroy();
  // The runtime closes the connection first and emits the reason afterwards.
  await new Promise((resolve) => setTimeout(resolve));
  const cause = refusal ?? wire.failure?.cause ?? wire.failure;
  throw new VirstorError(
    "invalid",
    `Cannot negotiate TLS: ${messageOf(cause)}`,
    { cause },
  );
}

/** Creates a TLS server that never listens: `startTls` emits connections. */
function createEncryption(identity: NbdTlsIdentity): Server {
  const { certificate: cert, key, clientAuthority: ca } = identity;
  const verifies = ca !== undefined;
  try {
    return createServer({
      cert,
      key,
      ...verifies && { ca },
      requestCert: verifies,
      rejectUnauthorized: verifies,
      minVersion: "TLSv1.2",
      // `handshakeMs` of NbdLimits bounds the whole handshake. The timer of the
      // runtime would hold failed connections for two minutes.
      handshakeTimeout: -1,
      // A client that has ended its sending side may still receive replies.
      allowHalfOpen: true,
    });
  } catch (error) {
    throw new VirstorError(
      "invalid",
      `Cannot negotiate TLS: the server's certificates cannot be used: ${
        messageOf(error)
      }`,
      { cause: error },
    );
  }
}
