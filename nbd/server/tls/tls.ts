/**
 * TLS on a connection that spoke plain NBD so far: STARTTLS.
 *
 * The runtime's TLS server is given a stream of our own instead of a socket.
 * So it works on whatever a listener accepts, and nothing is read ahead: bytes
 * are taken from the connection only when somebody waits for what is in them,
 * and the next ones are encrypted only when the last ones have left. A client
 * that does not read, or sends what nobody takes, costs a few buffers.
 *
 * Versions older than 1.2 are not spoken.
 *
 * @module
 */

import { createServer, type Server } from "node:tls";
import { messageOf, VirstorError } from "../../../errors.ts";
import type { ByteStream } from "../stream/mod.ts";
import { TlsStream } from "./tls_stream.ts";
import { TlsWire } from "./tls_wire.ts";

/** What a server shows to its clients, and whom it believes. PEM, all of it. */
export interface NbdTlsIdentity {
  /** The server's certificate, with those between it and the root. */
  readonly certificate: string;
  /** Its private key. */
  readonly key: string;
  /**
   * If given, clients have to show a certificate that one of these has signed.
   */
  readonly clientAuthority?: string;
}

/** Whether and how connections are encrypted. */
export interface NbdTls {
  /** Nothing is told to a client, and no export used, without encryption. */
  readonly required: boolean;
  /**
   * Called for each connection that is to be encrypted.
   *
   * @returns What is in force now.
   */
  identity(): NbdTlsIdentity;
}

/**
 * Encrypts a connection from now on, as the server.
 *
 * @param stream The connection; the client's first message of TLS is next.
 * @param identity The certificates.
 * @returns The inside. Closing it closes the connection.
 * @throws {VirstorError} `invalid` if the client does not manage it, is not
 *   believed, or leaves.
 */
export async function startTls(
  stream: ByteStream,
  identity: NbdTlsIdentity,
): Promise<TlsStream> {
  const server = createEncryption(identity);
  const wire = new TlsWire(stream);
  let inside: TlsStream | undefined;
  let refusal: unknown;
  server.on("secureConnection", (socket) => {
    inside = new TlsStream(socket, wire);
    // The runtime looked already; too much depends on it to look once.
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
    if (wire.ended) wire.fail(new VirstorError("cancelled", "The client left"));
    else await wire.next();
  }
  if (inside !== undefined && wire.failure === undefined) return inside;
  wire.destroy();
  // The runtime hangs up first, and then says why.
  await new Promise((resolve) => setTimeout(resolve));
  const cause = refusal ?? wire.failure?.cause ?? wire.failure;
  throw new VirstorError(
    "invalid",
    `Cannot negotiate TLS: ${messageOf(cause)}`,
    { cause },
  );
}

/** It never listens: a connection is handed to it. */
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
      // The whole handshake has a limit of its own. That of the runtime would
      // hold on to connections that have failed, for two minutes.
      handshakeTimeout: -1,
      // The end of what a client sends is not the end of what it reads.
      allowHalfOpen: true,
    });
  } catch (error) {
    throw new VirstorError(
      "invalid",
      `Cannot negotiate TLS: the certificate is refused: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
