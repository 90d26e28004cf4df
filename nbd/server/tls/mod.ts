/**
 * TLS over a stream.
 *
 * @module
 */

export { startTls } from "./tls.ts";
export type { NbdTls, NbdTlsIdentity } from "./tls.ts";
export { TlsStream } from "./tls_stream.ts";
