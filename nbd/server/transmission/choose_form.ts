/**
 * Which replies a connection has.
 *
 * @module
 */

import type { ExportProperties } from "../export/mod.ts";
import { ChunkForm, type ReplyForm, SimpleForm } from "../../wire/mod.ts";

/**
 * Chooses the encoder of replies for a dialect.
 *
 * @param properties The export as negotiated.
 * @returns The encoder.
 */
export function chooseForm(properties: ExportProperties): ReplyForm {
  return properties.chunked
    ? new ChunkForm(properties.extended)
    : new SimpleForm();
}
