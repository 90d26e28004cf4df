/**
 * Compares JSON with a schema, as far as `docs/schemas` uses JSON Schema: types,
 * properties, items, enumerations.
 *
 * @module
 */

/** A schema, or a part of one. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
  readonly items?: JsonSchema;
}

/**
 * Finds what does not match.
 *
 * @param schema The schema.
 * @param value The value.
 * @param at Where the value is, for the findings.
 * @returns A sentence for each difference.
 */
export function schemaFindings(
  schema: JsonSchema,
  value: unknown,
  at = "the output",
): string[] {
  const { type, items, properties = {}, required = [] } = schema;
  const found = value === null
    ? "null"
    : Array.isArray(value)
    ? "array"
    : typeof value;
  const types = type === undefined ? [found] : [type].flat();
  if (!types.includes(found)) return [`${at} is of type ${found}, not ${type}`];
  if (schema.enum !== undefined && !schema.enum.includes(value)) {
    return [`${at} is ${JSON.stringify(value)}, not one of ${schema.enum}`];
  }
  if (Array.isArray(value)) {
    return value.flatMap((one, index) =>
      schemaFindings(items ?? {}, one, `${at}[${index}]`)
    );
  }
  if (typeof value !== "object" || value === null) return [];
  const fields: Record<string, unknown> = { ...value };
  return [
    ...required.filter((name) => !(name in fields))
      .map((name) => `${at} has no ${name}`),
    ...Object.entries(fields).flatMap(([name, field]) => {
      const part = properties[name];
      if (part !== undefined) {
        return schemaFindings(part, field, `${at}.${name}`);
      }
      const isRefused = schema.additionalProperties === false;
      return isRefused ? [`${at}.${name} is not in the schema`] : [];
    }),
  ];
}
