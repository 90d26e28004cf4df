/**
 * The rule that nothing is asked of a disk whose end is not looked at. A disk on
 * another machine answers later: a read that is taken for done has read nothing,
 * and if it fails, the process ends.
 *
 * @module
 */

/** What a block device does, at once or later. */
const REQUESTS = /^(read|write|writeZeroes|discard|flush)$/;
/** The names of what may be on another machine. */
const DISKS = /^#?(device|far|disk|component)$/;

function nameOf(node: Deno.lint.Node): string {
  if (node.type === "Identifier") return node.name;
  if (node.type !== "MemberExpression") return "";
  const { property } = node;
  return property.type === "PrivateIdentifier"
    ? property.name
    : nameOf(property);
}

/**
 * Makes the rule for some files.
 *
 * @param isMeant Whether it holds for a file.
 * @returns The rule.
 */
export function requestEnds(
  isMeant: (filename: string) => boolean,
): Deno.lint.Rule {
  return {
    create(context) {
      if (!isMeant(context.filename)) return {};
      return {
        ExpressionStatement({ expression }) {
          if (expression.type !== "CallExpression") return;
          const { callee } = expression;
          if (callee.type !== "MemberExpression") return;
          if (!REQUESTS.test(nameOf(callee))) return;
          if (!DISKS.test(nameOf(callee.object))) return;
          context.report({
            node: expression,
            message: "A request to a disk whose end is not looked at",
            hint: "Await it, or use finished(), applied() or joinParts()",
          });
        },
      };
    },
  };
}
