/**
 * A raw NBD client that can use TLS, also wrongly, and the certificates for it.
 *
 * @module
 */

import { connect as connectNet, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { connect as connectTls, type SecureVersion } from "node:tls";
import type { NbdTls, NbdTlsIdentity } from "../../nbd/mod.ts";
import { NBD, type NbdAddress, NbdClient } from "./nbd_client.ts";

/** Where the certificates are; `make.sh` there made them. */
export const CERTIFICATES: string = fileURLToPath(
  new URL("../testdata/tls/", import.meta.url),
);

/**
 * Reads a certificate or a key.
 *
 * @param name For instance `good/ca-cert.pem`.
 * @returns PEM.
 */
export function pem(name: string): string {
  return Deno.readTextFileSync(`${CERTIFICATES}${name}`);
}

/**
 * What a server in tests shows.
 *
 * @param verifies Whether clients have to show something, too.
 * @returns The certificates.
 */
export function goodIdentity(verifies = false): NbdTlsIdentity {
  return {
    certificate: pem("good/server-cert.pem"),
    key: pem("good/server-key.pem"),
    ...verifies && { clientAuthority: pem("good/ca-cert.pem") },
  };
}

/**
 * How a server in tests encrypts.
 *
 * @param changes What is not as usual: required, and no client verified.
 * @returns What `NbdServer` takes.
 */
export function tls(
  changes: Partial<NbdTls> & { verifies?: boolean } = {},
): NbdTls {
  const { verifies, ...others } = changes;
  return { required: true, identity: () => goodIdentity(verifies), ...others };
}

/**
 * Sends an option.
 *
 * @param client The client.
 * @param option The number of the option.
 * @param data The option's data.
 * @returns The type of the last reply to it.
 */
export async function replyTo(
  client: NbdClient,
  option: number,
  data?: Uint8Array,
): Promise<number | undefined> {
  return (await client.option(option, data)).at(-1)?.type;
}

/**
 * A complete ClientHello of long ago.
 *
 * @param minor Its version: 0 is SSL 3.0, 1 to 3 are TLS 1.0 to 1.2.
 * @returns One record.
 */
export function oldHello(minor: number): Uint8Array {
  const body = [
    ...[3, minor],
    ...new Uint8Array(32).fill(7),
    ...[0, 0, 4, 0xc0, 0x13, 0, 0x2f, 1, 0],
  ];
  const message = [1, 0, 0, body.length, ...body];
  return new Uint8Array([0x16, 3, 1, 0, message.length, ...message]);
}

/** How a client encrypts. */
export interface TlsClientOptions {
  /** Its certificate without `-cert.pem`, e.g. `good/client`; or none. */
  readonly certificate?: string;
  /** The authority it trusts, `good/ca-cert.pem` by default. */
  readonly authority?: string;
  /** The newest version it knows. */
  readonly maxVersion?: SecureVersion;
}

/** A client, before and after it encrypts. */
export class TlsClient {
  /** Not encrypted. */
  readonly plain: NbdClient;
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.plain = NbdClient.over(connOf(socket));
  }

  /**
   * Connects, and takes the greeting.
   *
   * @param address Where.
   * @returns The client, not encrypted yet.
   */
  static async greeted(address: NbdAddress): Promise<TlsClient> {
    const where = "path" in address
      ? { path: address.path }
      : { port: address.port, host: "127.0.0.1" };
    const socket = connectNet({ ...where, allowHalfOpen: true });
    socket.on("error", () => {});
    await new Promise((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    const client = new TlsClient(socket);
    await client.plain.greet();
    return client;
  }

  /**
   * Connects, asks for TLS, and encrypts.
   *
   * @param address Where.
   * @param options How.
   * @returns The inside, in the middle of the handshake.
   */
  static async encrypted(
    address: NbdAddress,
    options: TlsClientOptions = {},
  ): Promise<NbdClient> {
    const client = await TlsClient.greeted(address);
    const [reply] = await client.plain.option(NBD.OPT_STARTTLS);
    if (reply?.type !== NBD.REP_ACK) throw new Error(`Got ${reply?.type}`);
    return await client.encrypt(options);
  }

  /**
   * Encrypts; the server has agreed to it.
   *
   * @param options How.
   * @returns The inside.
   */
  async encrypt(options: TlsClientOptions = {}): Promise<NbdClient> {
    const { certificate, authority = "good/ca-cert.pem", maxVersion } = options;
    const inside = connectTls({
      socket: this.#socket,
      servername: "localhost",
      ca: pem(authority),
      ...certificate !== undefined && {
        cert: pem(`${certificate}-cert.pem`),
        key: pem(`${certificate}-key.pem`),
      },
      ...maxVersion !== undefined && { maxVersion },
    });
    await new Promise<void>((resolve, reject) => {
      inside.once("secureConnect", resolve);
      inside.once("error", reject);
      inside.once("close", () => reject(new Error("The server hung up")));
    });
    inside.on("error", () => {});
    return NbdClient.over(connOf(inside));
  }

  /** Ends the connection. */
  close(): void {
    this.#socket.destroy();
  }

  /** Ends the connection. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Negotiates TLS with the runtime's other TLS client, which reads no bytes
 * ahead of a read.
 *
 * @param client A connection over TCP, with nothing agreed on.
 * @returns The inside.
 */
export async function encryptTcp(client: NbdClient): Promise<NbdClient> {
  const [reply] = await client.option(NBD.OPT_STARTTLS);
  if (reply?.type !== NBD.REP_ACK) throw new Error(`Got ${reply?.type}`);
  const inside = await Deno.startTls(client.conn as Deno.TcpConn, {
    hostname: "localhost",
    caCerts: [pem("good/ca-cert.pem")],
  });
  return NbdClient.over(inside);
}

/** A socket as the client uses connections; it can shut its way out. */
function connOf(
  socket: Socket,
): Pick<Deno.TcpConn, "read" | "write" | "close" | "closeWrite"> {
  let ended = false;
  let wake = () => {};
  socket.on("end", () => ended = true);
  for (const event of ["readable", "end", "close"]) {
    socket.on(event, () => wake());
  }
  return {
    async read(target) {
      for (;;) {
        const count = Math.min(socket.readableLength, target.length);
        const bytes: Uint8Array | null = count > 0 ? socket.read(count) : null;
        if (bytes !== null) {
          target.set(bytes);
          return bytes.length;
        }
        if (ended || socket.destroyed) return null;
        socket.read(0);
        await new Promise<void>((resolve) => wake = resolve);
      }
    },
    write: (source) =>
      new Promise((resolve, reject) => {
        socket.write(
          source,
          (error) => error ? reject(error) : resolve(source.length),
        );
      }),
    closeWrite: () =>
      new Promise((resolve) => {
        socket.end(() => resolve());
      }),
    close: () => void socket.destroy(),
  };
}
