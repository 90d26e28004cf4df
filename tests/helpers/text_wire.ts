/**
 * One text over a connection, whose end is the end of the text.
 *
 * @module
 */

/**
 * Sends a text. Its end is up to the caller: `closeWrite()`, or `close()`.
 *
 * @param connection Where to.
 * @param text The text.
 */
export async function sendText(
  connection: Deno.Conn,
  text: string,
): Promise<void> {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) {
    bytes = bytes.subarray(await connection.write(bytes));
  }
}

/**
 * Receives a text, up to the end that the peer has made.
 *
 * @param connection Where from.
 * @returns The text.
 */
export async function receiveText(connection: Deno.Conn): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  let text = "";
  for (;;) {
    const length = await connection.read(buffer);
    if (length === null) return text + decoder.decode();
    text += decoder.decode(buffer.subarray(0, length), { stream: true });
  }
}
