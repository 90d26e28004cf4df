/**
 * TLS, as the client side of STARTTLS.
 *
 * Certificates are verified unless the caller says otherwise: the chain, the
 * dates, and the name.
 *
 * @module
 */

import type { Socket } from "node:net";
import { isIP } from "node:net";
import { connect as connectTls } from "node:tls";
import { messageOf, VirstorError } from "../../../errors.ts";
import { NodeStream } from "./stream.ts";
import type { NbdUri } from "./uri.ts";

/** Certificates of a client, in PEM. */
export interface NbdClientTls {
  /**
   * Certificates of the authorities that the client trusts; those of the
   * runtime by default.
   */
  readonly authority?: string;
  /** The client's certificate, if the server asks for one. */
  readonly certificate?: string;
  /** The private key of the client's certificate. */
  readonly key?: string;
}

/**
 * Reads the certificates in a directory, under the names that libnbd, nbdkit
 * and qemu use, too.
 *
 * @param directory Has `ca-cert.pem`, and may have `client-cert.pem` and
 *   `client-key.pem`.
 * @returns The certificates.
 * @throws {VirstorError} `invalid` if a file cannot be read.
 */
export async function readCertificates(
  directory: string,
): Promise<NbdClientTls> {
  const certificate = await readPem(directory, "client-cert.pem");
  const key = await readPem(directory, "client-key.pem");
  const authority = await readPem(directory, "ca-cert.pem");
  if (authority === undefined && certificate === undefined) {
    throw new VirstorError(
      "invalid",
      `Cannot read certificates in "${directory}": ca-cert.pem is missing`,
    );
  }
  return {
    ...authority !== undefined && { authority },
    ...certificate !== undefined && key !== undefined && { certificate, key },
  };
}

async function readPem(
  directory: string,
  name: string,
): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(`${directory}/${name}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new VirstorError(
      "invalid",
      `Cannot read certificate "${directory}/${name}": ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/**
 * Performs the TLS handshake as the client.
 *
 * *Requires:* the server has acknowledged STARTTLS, and has sent nothing since.
 *
 * @param socket The connection.
 * @param uri The URI: host, and whether to verify.
 * @param tls The certificates.
 * @returns The cleartext side.
 * @throws {VirstorError} `invalid` if the handshake fails, or the server's
 *   certificate is not valid for the host.
 */
export async function startClientTls(
  socket: Socket,
  uri: NbdUri,
  tls: NbdClientTls,
): Promise<NodeStream> {
  const name = uri.tlsHostname || uri.host || "localhost";
  const inside = connectTls({
    socket,
    ...isIP(name) === 0 ? { servername: name } : { host: name },
    minVersion: "TLSv1.2",
    rejectUnauthorized: uri.tlsVerify,
    ...tls.authority !== undefined && { ca: tls.authority },
    ...tls.certificate !== undefined && { cert: tls.certificate },
    ...tls.key !== undefined && { key: tls.key },
  });
  try {
    await new Promise<void>((resolve, reject) => {
      inside.once("secureConnect", () => resolve());
      inside.once("error", reject);
      const onClose = () => reject(new Error("the server hung up"));
      inside.once("close", onClose);
      socket.once("close", onClose);
    });
    // The runtime has verified this already; data depends on it, so verify
    // twice.
    if (uri.tlsVerify && !inside.authorized) {
      throw new Error(
        `the certificate is refused: ${inside.authorizationError}`,
      );
    }
  } catch (error) {
    inside.on("error", () => {});
    inside.destroy();
    socket.destroy();
    throw new VirstorError(
      "invalid",
      `Cannot negotiate TLS with "${name}": ${messageOf(error)}`,
      { cause: error },
    );
  }
  return new NodeStream(inside, socket);
}
