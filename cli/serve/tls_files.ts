/**
 * Certificates and keys in files, under the names that other NBD programs use,
 * too. The files may be renewed while a server runs.
 *
 * @module
 */

import { fileIdentity } from "../../device/file/mod.ts";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { messageOf, VirstorError } from "../../errors.ts";
import type { NbdTls, NbdTlsIdentity } from "../../nbd/server/tls/mod.ts";
import { log } from "../terminal/mod.ts";

/** Where the files are, and how the server uses them. */
export interface TlsFilesOptions {
  /** Whether clients have to use TLS. */
  readonly required: boolean;
  /** The directory of `server-cert.pem` and `server-key.pem`. */
  readonly directory: string;
  /** Whether clients have to show a certificate. */
  readonly verifies: boolean;
  /** The authority's certificate; by default `ca-cert.pem` in the directory. */
  readonly authority: string | undefined;
}

/** The server's certificate and key, and the authority of its clients. */
export class TlsFiles implements NbdTls {
  /** Whether clients have to use TLS. */
  readonly required: boolean;
  /** Whether clients have to show a certificate. */
  readonly verifies: boolean;
  readonly #certificate: string;
  readonly #key: string;
  readonly #authority: string | undefined;
  #state: string;
  #identity: NbdTlsIdentity;

  /**
   * Reads the files.
   *
   * @param options Where the files are, and how the server uses them.
   * @throws {VirstorError} `not-found`, `io` if a file cannot be read;
   *   `invalid` if a file has other content, does not fit the others, or has
   *   expired.
   */
  constructor(options: TlsFilesOptions) {
    const { directory, verifies, authority } = options;
    this.required = options.required;
    this.verifies = verifies;
    this.#certificate = join(directory, "server-cert.pem");
    this.#key = join(directory, "server-key.pem");
    this.#authority = verifies
      ? authority ?? join(directory, "ca-cert.pem")
      : undefined;
    this.#state = this.#look();
    this.#identity = this.#read();
  }

  /**
   * Returns the current certificates, and reads changed files first. If the
   * changed files cannot be used, a renewal may be half done, and the earlier
   * certificates stay in use.
   *
   * @returns The certificates that were read last.
   */
  identity(): NbdTlsIdentity {
    const state = this.#look();
    if (state === this.#state) return this.#identity;
    this.#state = state;
    try {
      this.#identity = this.#read();
      log("certificates", "The certificates have changed and are in use");
    } catch (error) {
      const message = `${
        messageOf(error)
      }; the earlier certificates stay in use`;
      log("certificates", message, { level: "error" });
    }
    return this.#identity;
  }

  /** A text that changes when a file is written or replaced. */
  #look(): string {
    const authority = this.#authority === undefined ? [] : [this.#authority];
    const paths = [this.#certificate, this.#key, ...authority];
    return paths.map((path) => {
      try {
        const { size, mtime, ctime } = Deno.statSync(path);
        const identity = fileIdentity(path);
        return [identity, size, mtime?.getTime(), ctime?.getTime()].join();
      } catch {
        // Reading the file reports the error.
        return "";
      }
    }).join(" ");
  }

  #read(): NbdTlsIdentity {
    const certificate = readText(this.#certificate);
    const key = readText(this.#key);
    const [own] = parseCertificates(certificate, this.#certificate);
    if (own?.checkPrivateKey(parseKey(key, this.#key)) !== true) {
      throw unusable(
        this.#key,
        `it is not the key of "${this.#certificate}"`,
      );
    }
    const validTo = new Date(own.validTo);
    if (validTo.getTime() < Date.now()) {
      const day = validTo.toISOString().slice(0, 10);
      throw unusable(this.#certificate, `it has expired on ${day}, renew it`);
    }
    if (this.#authority === undefined) return { certificate, key };
    const clientAuthority = readText(this.#authority);
    parseCertificates(clientAuthority, this.#authority);
    return { certificate, key, clientAuthority };
  }
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new VirstorError(
        "not-found",
        `Cannot read "${path}": there is no such file, TLS needs it`,
        { cause: error },
      );
    }
    throw new VirstorError(
      "io",
      `Cannot read "${path}": ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/** @returns At least one certificate. */
function parseCertificates(text: string, path: string): X509Certificate[] {
  const pattern = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;
  const parts = text.match(pattern) ?? [];
  if (parts.length === 0) throw unusable(path, "it holds no certificate (PEM)");
  try {
    return parts.map((part) => new X509Certificate(part));
  } catch (error) {
    throw unusable(path, `its certificate is damaged: ${messageOf(error)}`);
  }
}

function parseKey(
  text: string,
  path: string,
): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(text);
  } catch {
    throw unusable(path, "it holds no key (PEM) without a passphrase");
  }
}

function unusable(path: string, reason: string): VirstorError {
  return new VirstorError("invalid", `Cannot use "${path}": ${reason}`);
}
