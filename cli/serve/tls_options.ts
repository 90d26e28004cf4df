/**
 * Reads the options of `virstor serve` for TLS.
 *
 * @module
 */

import { type Invocation, UsageError } from "../terminal/mod.ts";
import { TlsFiles } from "./tls_files.ts";

const MODES = ["off", "optional", "required"] as const;

/**
 * Reads the options for TLS, and the files that they name.
 *
 * @param invocation The command line.
 * @returns The certificates; `undefined` without TLS.
 * @throws {UsageError} If the options contradict each other.
 * @throws {VirstorError} `not-found`, `io`, `invalid` if the files cannot be
 *   used.
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
 * The notice for addresses that other machines can reach.
 *
 * @param tls The certificates; `undefined` without TLS.
 * @returns One line; `undefined` if TLS is required and verifies clients.
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
