/**
 * Reads the metrics of a server, and finds its page.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { Server } from "./virstor.ts";

/** What an HTTP server has answered. */
export interface RawAnswer {
  /** The status code. */
  readonly status: number;
  /** The first line and the fields. */
  readonly head: string;
  /** The content. */
  readonly body: string;
}

/**
 * The address of the metrics of a server that listens on a TCP port.
 *
 * @param server The server.
 * @returns The URL.
 */
export async function metricsUrl(server: Server): Promise<string> {
  await server.said(/metrics: Serves metrics on http/);
  const [, url = ""] = / on (http:\S+)/.exec(server.stderr) ?? [];
  return url;
}

/**
 * The address of the page of a server that shows it on a TCP port.
 *
 * @param server The server.
 * @returns The URL, which ends in a slash.
 */
export async function pageUrl(server: Server): Promise<string> {
  await server.said(/page: Shows its page on http/);
  const [, url = ""] = / page on (http:\S+)/.exec(server.stderr) ?? [];
  return url;
}

/**
 * Sends text to a server, and reads until it closes the connection.
 *
 * @param connection The connection.
 * @param request What to send; nothing by default.
 * @returns The answer; its status is 0 without one.
 */
export async function rawAnswer(
  connection: Deno.Conn,
  request = "",
): Promise<RawAnswer> {
  try {
    if (request !== "") await sendAll(connection, request);
    const text = await new Response(connection.readable).text();
    const [head = "", ...rest] = text.split("\r\n\r\n");
    const [, status = "0"] = /^HTTP\/1\.1 (\d+) /.exec(head) ?? [];
    return { status: Number(status), head, body: rest.join("\r\n\r\n") };
  } catch {
    return { status: 0, head: "", body: "" };
  }
}

/**
 * Sends text.
 *
 * @param connection The connection.
 * @param text The text, ASCII.
 */
export async function sendAll(
  connection: Deno.Conn,
  text: string,
): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let sent = 0; sent < bytes.length;) {
    sent += await connection.write(bytes.subarray(sent));
  }
}

/**
 * Reads the page of metrics.
 *
 * @param url Its URL.
 * @returns The text.
 */
export async function metricsText(url: string): Promise<string> {
  const response = await fetch(url);
  const text = await response.text();
  assertEquals(response.status, 200);
  assertEquals(
    response.headers.get("content-type"),
    "text/plain; version=0.0.4; charset=utf-8",
  );
  return text;
}

/**
 * Reads the metrics, each of which may be there once only.
 *
 * @param url Their URL.
 * @returns The values, by name with labels as the page has them.
 */
export async function metricsOf(url: string): Promise<Map<string, number>> {
  const values = new Map<string, number>();
  for (const line of (await metricsText(url)).split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [, name = "", value] = /^(\w+(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
    assert(value !== undefined && !values.has(name), line);
    values.set(name, Number(value));
  }
  return values;
}
