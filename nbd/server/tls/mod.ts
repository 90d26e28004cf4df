/**
 * TLS over a byte stream, as the server side of STARTTLS.
 *
 * @module
 */

export { startTls } from "./tls.ts";
export type { NbdTls, NbdTlsIdentity } from "./tls.ts";
export { TlsStream } from "./tls_stream.ts";
