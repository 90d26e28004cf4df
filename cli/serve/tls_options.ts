/**
 * What the options of `virstor serve` say about TLS.
 *
 * @module
 */

import { type Invocation, UsageError } from "../terminal/mod.ts";
import { TlsFiles } from "./tls_files.ts";

const MODES = ["off", "optional", "required"] as const;

/**
 * Reads whether and how clients encrypt, and the files for it.
 *
 * @param invocation The command line.
 * @returns The certificates; `undefined` without TLS.
 * @throws {UsageError} If the options make no sense.
 * @throws {VirstorError} `not-found`, `io`, `invalid` if the files do not.
 */
export function tlsOf(invocation: Invocation): TlsFiles | undefined {
  const directory = invocation.value("tls-certs");
  const authority = invocation.value("tls-ca");
  const verifies = invocation.flag("tls-verify");
  const wanted = directory === undefined ? "off" : "required";
  const given = invocation.value("tls") ?? wanted;
  const mode = MODES.find((known) => known === given);
  if (mode === undefined) {
    throw new UsageError(
      `Option --tls has no value "${given}"`,
      "Values are off, optional and required",
    );
  }
  if (authority !== undefined && !verifies) {
    throw new UsageError(
      "Option --tls-ca needs --tls-verify",
      "It names the authority that signs the certificates of clients",
    );
  }
  if (mode === "off") {
    if (!verifies) return undefined;
    throw new UsageError(
      "Option --tls-verify needs TLS",
      "Use --tls-certs DIR, and not --tls off",
    );
  }
  if (directory === undefined) {
    throw new UsageError(
      `Option --tls ${mode} needs --tls-certs DIR`,
      "DIR has server-cert.pem and server-key.pem",
    );
  }
  return new TlsFiles({
    required: mode === "required",
    directory,
    verifies,
    authority,
  });
}

/**
 * What has to be said of addresses that others can reach.
 *
 * @param tls Whether and how clients encrypt.
 * @returns One line, or nothing: only known clients get in, encrypted.
 */
export function exposureNotice(tls: TlsFiles | undefined): string | undefined {
  const danger =
    "Any client that reaches this address can read and write the pool: ";
  if (tls === undefined) {
    return `${danger}there is no encryption and no password`;
  }
  if (!tls.required) {
    return `${danger}encryption is left to the client (--tls optional), ` +
      "and there is no password";
  }
  if (tls.verifies) return undefined;
  return `${danger}it is encrypted, but there is no password, and no ` +
    "certificate is asked for (--tls-verify)";
}
